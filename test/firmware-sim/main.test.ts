import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SpoiledBridge, startSpoiledBridge } from './spoiled-bridge.ts';

const script = fileURLToPath(new URL('../../firmware-sim/main.ts', import.meta.url));

/** The command as a user runs it, on the sources. */
async function simulate(...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

describe('simulate', () => {
  let bridge: SpoiledBridge;
  let lossy = false;

  beforeEach(async () => {
    bridge = await startSpoiledBridge(({ payload, seq }) => (lossy && seq === 2 ? [] : [payload]));
  });

  afterEach(() => bridge.close());

  const small = ['--devices', '2', '--rate', '20', '--duration', '200ms', '--drain', '500ms'];

  it('simulate - a good run exits with 0 and prints one line of JSON', async () => {
    const { code, stdout, stderr } = await simulate(
      ...small,
      '--url',
      bridge.mqttUrl,
      '--verify',
      bridge.httpUrl,
      '--json',
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, sent: 8, acked: 8, proof: { received: 8, lost: 0 } });
  });

  it('simulate - a lost message exits with 1 and is told in words', async () => {
    lossy = true;
    const { code, stdout } = await simulate(...small, '--url', bridge.mqttUrl, '--verify', bridge.httpUrl);
    expect(code).toBe(1);
    expect(stdout).toContain('2 acknowledged messages were lost');
    expect(stdout).toContain('missing first: 2');
  });

  it('simulate - a wrong flag exits with 64 and one sentence', async () => {
    const { code, stdout, stderr } = await simulate('--qos', '7');
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toBe("simulate: option '--qos <level>' argument '7' is invalid. Give one of 0, 1, 2.\n");
  });

  it('simulate - without a server it exits with 69 and says why', async () => {
    const { mqttUrl, httpUrl } = bridge;
    await bridge.close();
    bridge = await startSpoiledBridge(({ payload }) => [payload]); // for afterEach
    const { code, stderr } = await simulate(
      ...small,
      '--url',
      mqttUrl,
      '--verify',
      httpUrl,
      '--connect-limit',
      '300ms',
    );
    expect(code).toBe(69);
    expect(stderr).toContain('ECONNREFUSED');
    const unverified = await simulate(...small, '--url', mqttUrl, '--connect-limit', '300ms');
    expect(unverified.code).toBe(69);
    expect(unverified.stderr).toMatch(/^simulate: only 0 of 2 devices could connect within 300 ms: .*ECONNREFUSED/);
  });
});
