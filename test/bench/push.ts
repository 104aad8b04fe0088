import { PushEndpoint } from '../support/push-endpoint.ts';
import type { RestClient } from '../support/rest-client.ts';
import type { Measured } from './report.ts';

const batch = 100;

/**
 * Pushes a backlog to an endpoint in this process, so that the CPU of the server is measured without the endpoint's.
 * @param begin called when the backlog is there; what was spent before does not count.
 */
export async function pushBacklog(
  rest: RestClient,
  messages: number,
  begin: () => void,
): Promise<Omit<Measured, 'cpuSeconds'>> {
  const to = await PushEndpoint.start();
  await rest.createTopic('pushed');
  await rest.createSubscription('pushed', 'pushed');
  const data = Buffer.alloc(200).toString('base64');
  for (let sent = 0; sent < messages; sent += batch) {
    await rest.publish(
      'pushed',
      Array.from({ length: batch }, () => ({ data })),
    );
  }
  begin();
  const startedMs = performance.now();
  await rest.modifyPushConfig('pushed', { pushEndpoint: to.url() });
  await to.received(messages);
  const seconds = (performance.now() - startedMs) / 1000;
  await to.stop();
  return { messages, seconds, latenciesMs: [] };
}
