import { randomUUID } from 'node:crypto';
import type { PubSub } from '../../pubsub/pubsub.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { acknowledgeMethods } from './acknowledge-methods.ts';
import { ByteBudget } from './byte-budget.ts';
import { LongPolls } from './long-polls.ts';
import { type Method, MethodTable } from './method.ts';
import { publishMethod } from './publish-method.ts';
import { type PullLimits, pullMethod } from './pull-method.ts';
import { snapshotMethods } from './snapshot-methods.ts';
import { subscriptionMethods } from './subscription-methods.ts';
import { topicMethods } from './topic-methods.ts';

export interface MethodLimits extends PullLimits {
  /** How long a pull waits for the first message. */
  readonly pullWaitMs: number;
  /** Pulls that wait on all subscriptions together; past it RESOURCE_EXHAUSTED. (The core bounds each subscription.) */
  readonly pullsWaitingMax: number;
  /** Message data that slow clients have not taken yet, together; past it pulls are answered RESOURCE_EXHAUSTED. */
  readonly repliesBytesMax: number;
}

interface MethodsDeps {
  readonly pubsub: PubSub;
  readonly limits: MethodLimits;
  readonly logger: Logger;
}

/** Every method that is served, over REST and gRPC alike, and the bounds that both keep together. */
export class Methods {
  /** A further family of methods is a further line of the constructor. */
  readonly rows: readonly Method[];
  readonly table: MethodTable;
  readonly #longPolls: LongPolls;
  readonly #replies: ByteBudget;

  constructor({ pubsub, limits, logger }: MethodsDeps) {
    const { publisher, subscriber } = pubsub;
    this.#longPolls = new LongPolls(limits);
    this.#replies = new ByteBudget(limits.repliesBytesMax);
    this.rows = [
      ...topicMethods(pubsub.topics),
      publishMethod(publisher),
      ...subscriptionMethods(pubsub),
      pullMethod({ subscriber, limits, logger, longPolls: this.#longPolls, replies: this.#replies }),
      ...acknowledgeMethods(subscriber),
      ...snapshotMethods(pubsub, randomUUID),
    ];
    this.table = new MethodTable(this.rows);
  }

  counters() {
    return {
      replyBytesHeld: this.#replies.held,
      pullsWaiting: this.#longPolls.waiting,
      pullsRefused: this.#longPolls.refused,
    };
  }

  /** Pulls that wait are answered now, and so is every one that comes. */
  close(): void {
    this.#longPolls.close();
  }
}
