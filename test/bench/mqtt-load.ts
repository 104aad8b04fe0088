import { connect, type Socket } from 'node:net';
import { generate } from 'mqtt-packet';

/** What one load is; this file is run as a process of its own, with the plan as its argument. */
export interface LoadPlan {
  readonly port: number;
  readonly qos: 0 | 1 | 2;
  readonly connections: number;
  readonly window: number;
  readonly payloadBytes: number;
  readonly messages: number; // all connections together
}

export interface LoadResult {
  readonly messages: number;
  readonly seconds: number;
  readonly ackMs: { readonly p50: number; readonly p99: number };
}

/**
 * Publishes as fast as acknowledgements come, on raw sockets with frames made beforehand, so that the generator costs
 * little beside the server that it measures. QoS 0 has no acknowledgement: it writes what the socket takes.
 */
const plan = JSON.parse(process.argv[2]!) as LoadPlan;
const latenciesMs: number[] = [];
let sent = 0;
let done = 0;
let startMs = 0;
const finished: (() => void)[] = [];

function frames(index: number): Buffer[] {
  const payload = Buffer.alloc(plan.payloadBytes, 'x');
  const topic = `devices/bench${index}/events/load`;
  return Array.from({ length: plan.window }, (_, slot) =>
    generate({ cmd: 'publish', topic, payload, qos: plan.qos, dup: false, retain: false, messageId: slot + 1 }),
  );
}

async function open(index: number): Promise<Socket> {
  const socket = connect({ port: plan.port, host: '127.0.0.1', noDelay: true });
  socket.write(generate({ cmd: 'connect', clientId: `bench${index}`, protocolId: 'MQTT', clean: true, keepalive: 0 }));
  await new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve());
    socket.once('error', reject);
  });
  return socket;
}

function runAcked(socket: Socket, index: number): void {
  const publishes = frames(index);
  const sentMs: number[] = new Array(plan.window).fill(0);
  const send = (slots: number[]) => {
    const free = slots.slice(0, Math.max(0, plan.messages - sent));
    sent += free.length;
    const nowMs = performance.now();
    for (const slot of free) sentMs[slot] = nowMs;
    if (free.length > 0) socket.write(Buffer.concat(free.map((slot) => publishes[slot]!)));
  };
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const free: number[] = [];
    const releases: Buffer[] = [];
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) {
      const slot = bytes.readUInt16BE(at + 2) - 1;
      if (bytes[at]! >> 4 === 5) releases.push(generate({ cmd: 'pubrel', messageId: slot + 1 }));
      else free.push(slot);
    }
    rest = bytes.subarray(at);
    if (releases.length > 0) socket.write(Buffer.concat(releases));
    const nowMs = performance.now();
    for (const slot of free) latenciesMs.push(nowMs - sentMs[slot]!);
    done += free.length;
    send(free);
    if (done >= plan.messages) for (const resolve of finished) resolve();
  });
  send(Array.from({ length: plan.window }, (_, slot) => slot));
}

function runUnacked(socket: Socket, index: number): void {
  const burst = Buffer.concat(frames(index));
  const send = () => {
    while (sent < plan.messages) {
      sent += plan.window;
      if (!socket.write(burst)) return void socket.once('drain', send);
    }
    socket.end(generate({ cmd: 'disconnect' }), () => {
      done++;
      if (done === plan.connections) for (const resolve of finished) resolve();
    });
  };
  send();
}

const sockets = await Promise.all(Array.from({ length: plan.connections }, (_, index) => open(index)));
startMs = performance.now();
await new Promise<void>((resolve) => {
  finished.push(resolve);
  sockets.forEach(plan.qos === 0 ? runUnacked : runAcked);
});
const seconds = (performance.now() - startMs) / 1000;
for (const socket of sockets) socket.destroy();
latenciesMs.sort((a, b) => a - b);
const quantile = (q: number) => latenciesMs[Math.floor(q * (latenciesMs.length - 1))] ?? 0;
const result: LoadResult = { messages: sent, seconds, ackMs: { p50: quantile(0.5), p99: quantile(0.99) } };
process.send!(result, () => process.exit(0));
