import { PubSub } from '@google-cloud/pubsub';
import type { GrpcLoadPlan, GrpcLoadResult } from './grpc-load.ts';

// The same work as in grpc-load.ts done by Google's own client, unmodified: most of what is measured is the client.

/** Publishes, receives and acks `messages` messages. */
export async function runGoogleLoad(plan: GrpcLoadPlan): Promise<GrpcLoadResult> {
  process.env['METADATA_SERVER_DETECTION'] = 'none';
  const pubsub = new PubSub({ projectId: 'headwater', apiEndpoint: plan.address, emulatorMode: true });
  const { batch, messages, payloadBytes } = plan;
  const topic = pubsub.topic(plan.topic, {
    batching: { maxMessages: batch, maxBytes: 9_000_000, maxMilliseconds: 10 },
  });
  const subscription = pubsub.subscription(plan.subscription, {
    flowControl: { maxMessages: 5000 },
    streamingOptions: { maxStreams: 1 },
    batching: { maxMessages: 1000 },
  });
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  await new Promise<void>((resolve, reject) => {
    subscription.on('error', reject);
    subscription.on('message', (message) => {
      message.ack();
      if (latenciesMs.push(performance.now() - message.data.readDoubleBE()) === messages) resolve();
    });
    publishAll().catch(reject);
  });
  const seconds = (performance.now() - startMs) / 1000;
  await subscription.close();
  await pubsub.close();
  return { messages, seconds, latenciesMs };

  /** As many publish requests under way as in the other load. */
  async function publishAll(): Promise<void> {
    let left = messages;
    const turn = async () => {
      while (left > 0) {
        const count = Math.min(batch, left);
        left -= count;
        const data = Buffer.alloc(payloadBytes, 'x');
        data.writeDoubleBE(performance.now());
        await Promise.all(Array.from({ length: count }, () => topic.publishMessage({ data })));
      }
    };
    await Promise.all(Array.from({ length: plan.publishers * plan.window }, turn));
  }
}

const [plan] = process.argv.slice(2);
if (plan && process.send) process.send(await runGoogleLoad(JSON.parse(plan)));
