import type { Channels } from './link.ts';
import { packFields, unpackFields } from './mqtt-fields.ts';
import type { MqttKeys } from './mqtt-keys.ts';

/** What one node tells one other. The body: a message; a session id; a connection; number of an announcement and node. */
export type MailKind = 'forward' | 'queued' | 'over' | 'seen';

export interface MailOptions {
  readonly channels: Channels;
  readonly keys: MqttKeys;
  /** Messages that wait to be forwarded, all nodes together; more is dropped. */
  readonly forwardBytesMax: number;
}

interface Outbox {
  /** Kind, body, kind, body… */
  waiting: (string | Uint8Array)[];
  sending: boolean;
}

/** One PUBLISH carries no more than this, or one letter. */
const letterBytesMax = 262_144;

/**
 * Letters to single nodes, over one channel each. What is posted to a node in one turn of the event loop, and while the
 * last letter to it is on its way, travels together. Best effort: nothing is ever sent twice.
 */
export class Mail {
  readonly #options: MailOptions;
  readonly #outboxes = new Map<string, Outbox>();
  /** Of messages that wait or are on their way. */
  #forwardBytes = 0;
  forwarded = 0;
  forwardDropped = 0;

  constructor(options: MailOptions) {
    this.#options = options;
  }

  forward(nodes: readonly string[], message: Uint8Array): void {
    for (const node of nodes) {
      if (this.#forwardBytes + message.length > this.#options.forwardBytesMax) {
        this.forwardDropped++;
        continue;
      }
      this.#forwardBytes += message.length;
      this.forwarded++;
      this.post(node, 'forward', message);
    }
  }

  post(node: string, kind: MailKind, body: string | Uint8Array): void {
    const outbox = this.#outboxes.get(node) ?? { waiting: [], sending: false };
    outbox.waiting.push(kind, body);
    if (outbox.sending) return;
    outbox.sending = true;
    this.#outboxes.set(node, outbox);
    setImmediate(() => void this.#send(node, outbox));
  }

  async #send(node: string, outbox: Outbox): Promise<void> {
    while (outbox.waiting.length > 0) {
      const letter = cutLetter(outbox);
      try {
        await this.#options.channels.publish(this.#options.keys.channelOf(node), packFields(letter));
      } catch {
        this.forwardDropped += forwardsIn(letter).length;
      }
      for (const { length } of forwardsIn(letter)) this.#forwardBytes -= length;
    }
    outbox.sending = false;
    this.#outboxes.delete(node);
  }
}

/** Calls back for each letter in what `Mail` published. */
export function openMail(packed: Buffer, letter: (kind: string, body: Buffer) => void): void {
  const fields = unpackFields(packed);
  for (let i = 0; i + 1 < fields.length; i += 2) letter(fields[i]!.toString(), fields[i + 1]!);
}

function cutLetter(outbox: Outbox): readonly (string | Uint8Array)[] {
  let bytes = 0;
  let end = 0;
  while (end < outbox.waiting.length && (end === 0 || bytes < letterBytesMax)) {
    bytes += outbox.waiting[end + 1]!.length;
    end += 2;
  }
  return outbox.waiting.splice(0, end);
}

function forwardsIn(letter: readonly (string | Uint8Array)[]): readonly (string | Uint8Array)[] {
  return letter.filter((_, i) => i % 2 === 1 && letter[i - 1] === 'forward');
}
