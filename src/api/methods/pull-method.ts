import { invalidArgument, PubSubError } from '../../domain/errors.ts';
import type { ReceivedMessage, Subscribe } from '../../pubsub/pubsub.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { object } from '../json/json-field.ts';
import { pullReply } from '../json/received-json.ts';
import { flag, int32 } from '../json/scalar-fields.ts';
import { receivedMessages } from '../proto/received-proto.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { Exchange } from './exchange.ts';
import type { LongPolls } from './long-polls.ts';
import { type Method, method } from './method.ts';

export interface PullLimits {
  /** Messages and bytes of data in one reply. */
  readonly pullMessagesMax: number;
  readonly pullBytesMax: number;
}

interface PullDeps {
  readonly subscriber: Subscribe;
  readonly longPolls: LongPolls;
  readonly replies: ByteBudget;
  readonly limits: PullLimits;
  readonly logger: Logger;
}

/** google.pubsub.v1 PullRequest as protobuf.js decodes it. */
interface PullRequest {
  readonly subscription: string;
  readonly maxMessages: number;
  readonly returnImmediately: boolean;
}

/**
 * A pull leases what is there; when nothing is, it waits until something is, the wait is over, or the client has gone.
 * What was leased for a client that does not get the answer is given back at once and does not count as a delivery.
 */
export function pullMethod({ subscriber, longPolls, replies, limits, logger }: PullDeps): Method {
  async function wait(name: string, messagesMax: number, exchange: Exchange): Promise<ReceivedMessage[]> {
    const pull = longPolls.enter();
    exchange.onLost(pull.abort);
    try {
      return await subscriber.pull(name, { messagesMax, bytesMax: limits.pullBytesMax }, pull.signal);
    } finally {
      pull.leave();
    }
  }

  function giveBack(name: string, received: readonly ReceivedMessage[]): void {
    if (received.length === 0) return;
    const ackIds = received.map(({ ackId }) => ackId);
    subscriber.release(name, ackIds).catch((error: unknown) => {
      logger.warn({ err: error, subscription: name }, 'leases of a lost pull stay until their deadline');
    });
  }

  return method({
    id: 'pubsub.projects.subscriptions.pull',
    verb: 'POST',
    shape: 'projects/*/subscriptions/*:pull',
    summary: 'Hands out messages, each until its ack deadline.',
    body: object({
      maxMessages: int32(
        `Most messages to hand out; 1 or more, and more than ${limits.pullMessagesMax} count as that.`,
      ),
      returnImmediately: flag('Deprecated: do not wait for messages.'),
    }),
    async handle({ name, body, exchange }) {
      const messagesMax = Math.min(checkedMaxMessages(body.maxMessages ?? 0), limits.pullMessagesMax);
      const received = body.returnImmediately
        ? await subscriber.lease(name, { messagesMax, bytesMax: limits.pullBytesMax })
        : await wait(name, messagesMax, exchange);
      const bytes = received.reduce((sum, { message }) => sum + message.data.length, 0);
      if (!replies.take(bytes)) {
        giveBack(name, received);
        throw new PubSubError(
          'RESOURCE_EXHAUSTED',
          'Clients are too slow to take their messages; try again in a moment.',
        );
      }
      exchange.onEnd(() => replies.give(bytes));
      exchange.onLost(() => giveBack(name, received));
      return received;
    },
    toJson: pullReply,
    proto: {
      read: ({ subscription, maxMessages, returnImmediately }: PullRequest) => {
        return { name: subscription, body: { maxMessages, returnImmediately } };
      },
      write: (received) => ({ receivedMessages: receivedMessages(received) }),
    },
  });
}

function checkedMaxMessages(maxMessages: number): number {
  if (maxMessages > 0) return maxMessages;
  throw invalidArgument(`maxMessages is ${maxMessages}; ask for at least 1.`);
}
