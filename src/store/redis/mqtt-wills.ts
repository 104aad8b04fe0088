import type { TakenWill } from '../store.ts';
import type { Link } from './link.ts';
import { unpackFields } from './mqtt-fields.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { loadScript } from './script.ts';

export interface WillsInHandOptions {
  readonly link: Link;
  readonly keys: MqttKeys;
  readonly node: string;
}

const adopt = loadScript('mqtt-adopt');

/** Wills looked at by one `adopt`. */
const willsPerPage = 100;

/**
 * Wills that scripts gave to this node: each is handed to the MQTT side once, which says when it is sent.
 *
 *     in a client ──taken by a script──► in hand (`taken` names the node) ──handed out──► sent: gone
 *                                           └── the node dies ──► adopted by another
 *
 * The answer that brings a will can get lost. `taken` then has a will of this node that it has never handed out: seen so
 * in two rounds, when no answer can be under way any more, it is handed out too.
 */
export class WillsInHand {
  readonly #options: WillsInHandOptions;
  readonly #handed = new Set<string>();
  readonly #sent = new Set<string>();
  /** Seen in the last round through `taken`, and in this one. */
  #strays = new Set<string>();
  #seen = new Set<string>();
  #cursor = '0';
  /** For the next sweep. */
  #found: TakenWill[] = [];

  constructor(options: WillsInHandOptions) {
    this.#options = options;
  }

  /** @param reply of a script: id and message, or nothing */
  hand(clientId: string, [id, message]: readonly Buffer[]): TakenWill | undefined {
    if (!id || !message || this.#handed.has(`${id}`)) return undefined;
    this.#handed.add(`${id}`);
    return { id: `${id}`, clientId, message };
  }

  /** It could not be handed out after all. */
  keep(will: TakenWill | undefined): void {
    if (will) this.#found.push(will);
  }

  /** Those that were kept. */
  collect(): TakenWill[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  /** Never throws: what cannot be noted now is noted by `settle`. */
  async sent({ id }: TakenWill): Promise<void> {
    this.#sent.add(id);
    await this.settle().catch(() => undefined);
  }

  /** @throws Unavailable */
  async settle(): Promise<void> {
    const ids = [...this.#sent].slice(0, willsPerPage);
    if (ids.length === 0) return;
    await this.#options.link.command('HDEL', this.#options.keys.taken, ...ids);
    for (const id of ids) {
      this.#sent.delete(id);
      this.#handed.delete(id);
    }
  }

  /** Looks through a page of what was taken, by whomever. @throws Unavailable */
  async adopt(): Promise<void> {
    const { link, keys, node } = this.#options;
    const args = [node, this.#cursor, willsPerPage];
    const reply = await link.run(adopt, [keys.taken, keys.nodes], args, { durable: true });
    const [cursor, adopted, own] = reply as [Buffer, [Buffer, Buffer][], Buffer[]];
    this.#cursor = `${cursor}`;
    for (const [id, packed] of adopted) this.#keepPacked(id, packed);
    const unknown = own.map(String).filter((id) => !this.#handed.has(id));
    for (const id of unknown) if (this.#strays.has(id)) await this.#handStray(id);
    for (const id of unknown) this.#seen.add(id);
    if (this.#cursor !== '0') return;
    this.#strays = this.#seen;
    this.#seen = new Set();
  }

  async #handStray(id: string): Promise<void> {
    const packed = (await this.#options.link.command('HGET', this.#options.keys.taken, id)) as Buffer | null;
    if (packed) this.#keepPacked(Buffer.from(id), packed);
  }

  #keepPacked(id: Buffer, packed: Buffer): void {
    const [, clientId, message] = unpackFields(packed);
    if (clientId && message) this.keep(this.hand(`${clientId}`, [id, message]));
  }
}
