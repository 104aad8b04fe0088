import { afterEach, describe, expect, it } from 'vitest';
import { type Core, endCores, messageOf, openCore, telemetry, textsOf, worker } from './core.ts';

afterEach(endCores);

async function filtered(filter: string, limits = {}): Promise<Core> {
  const core = await openCore(limits);
  await core.topic();
  await core.subscription({ filter });
  return core;
}

describe('filtered subscriptions', () => {
  it('filter - only matching messages are delivered, the others count as acked', async () => {
    const core = await filtered('attributes.kind = "alarm"');
    const messages = ['alarm', 'state', 'alarm', 'state', 'state'].map((kind, i) =>
      messageOf(`${kind}${i}`, { attributes: { kind } }),
    );
    await core.publisher.publish(telemetry, messages);
    const taken = await core.take();
    expect(textsOf(taken)).toEqual(['alarm0', 'alarm2']);
    await core.ack(taken);
    expect((await core.subscriptions.stats(worker)).backlog).toBe(0);
  });

  it('filter - a match far behind messages that do not match is found by one lease', async () => {
    const core = await filtered('attributes:wanted', { scanMessagesMax: 50, leaseTurnsMax: 2 });
    for (let i = 0; i < 5; i++) {
      await core.publisher.publish(
        telemetry,
        Array.from({ length: 200 }, () => messageOf('no')),
      );
    }
    await core.publisher.publish(telemetry, [messageOf('yes', { attributes: { wanted: '' } })]);
    expect(textsOf(await core.take())).toEqual(['yes']);
  });

  it('filter - messages that do not match cost no room in a lease', async () => {
    const core = await filtered('attributes:wanted');
    for (let i = 0; i < 30; i++) {
      const attributes: Record<string, string> = i % 3 === 0 ? { wanted: '' } : {};
      await core.publisher.publish(telemetry, [messageOf(`m${i}`, { attributes })]);
    }
    expect(textsOf(await core.take(5))).toEqual(['m0', 'm3', 'm6', 'm9', 'm12']);
    expect(textsOf(await core.take(5))).toEqual(['m15', 'm18', 'm21', 'm24', 'm27']);
  });
});
