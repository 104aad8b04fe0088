import type { Channels } from './link.ts';
import { unpackFields } from './mqtt-fields.ts';

export interface Announcement {
  /** Who numbers it: `clients` or `retained`, which live on different servers of a cluster. */
  readonly source: string;
  readonly number: number;
  readonly kind: string;
  readonly fields: readonly Buffer[];
}

export interface AnnouncementsOptions {
  readonly channels: Channels;
  readonly channel: string;
  /** In order. Must not throw. */
  readonly apply: (announcement: Announcement) => void;
  /** Some were missed, or may have been: what they changed has to be read anew, between `hold` and `release`. */
  readonly missed: () => void;
  /** How long an announcement may take to be heard. Default 3000. */
  readonly lateMs?: number;
}

const lateMs = 3000;
/** Announcements held back while the state they change is read; more, and the reading begins again. */
const heldBytesMax = 32 * 1_048_576;

/** Another connection has a client: not put off, and nothing that reading would bring. */
const urgent = 'replaced';

/**
 * What scripts tell all nodes (scripts/mqtt-announce.lua). Redis pub/sub loses what is published while a connection is
 * being made, and a cluster also what its bus loses, silently. So each source numbers its announcements, and whoever finds
 * a gap reads the state anew:
 *
 *     deaf ──confirmed──► holding ──release──► current ──connection lost, or a gap──► deaf
 */
export class Announcements {
  readonly #options: AnnouncementsOptions;
  readonly #numbers = new Map<string, number>();
  /** How far a source said it was, and when. */
  readonly #checked = new Map<string, { readonly number: number; readonly atMs: number }>();
  #state: 'deaf' | 'holding' | 'current' = 'deaf';
  #held: Announcement[] = [];
  #heldBytes = 0;
  #stop: () => void = () => undefined;

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
  }

  /** Resolves when announcements are heard, or the time is over. */
  listen(timeoutMs: number): Promise<boolean> {
    const { channels, channel } = this.#options;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#stop = channels.subscribe(channel, (message) => {
        if (message) this.#hear(message);
        else if (channels.hears(channel)) {
          clearTimeout(timer);
          resolve(true);
          this.#miss();
        } else this.deafen();
      });
    });
  }

  close(): void {
    this.#stop();
  }

  /** From now on announcements wait for `release`. */
  hold(): void {
    this.#state = 'holding';
    this.#held = [];
    this.#heldBytes = 0;
  }

  /** What is told from now on is not wanted before `hold`. */
  deafen(): void {
    this.#state = 'deaf';
    this.#held = [];
  }

  /**
   * Applies what was held back.
   * @param read up to which number of each source the state holds what was announced, at least
   * @returns false when there is a gap: the state has to be read again
   */
  release(read: ReadonlyMap<string, number>): boolean {
    if (this.#state !== 'holding') return false;
    const held = this.#held;
    this.#held = [];
    this.#state = 'current';
    this.#checked.clear();
    for (const [source, number] of read) this.#numbers.set(source, number);
    for (const announcement of held) this.#take(announcement, false);
    return this.#isCurrent();
  }

  /**
   * To be told now and then how far a source is: a gap at the end shows only when nothing follows. What it had announced
   * a while ago must have been heard by now, and it must not have gone back (a failover that lost writes).
   */
  check(source: string, number: number): void {
    const atMs = performance.now();
    const before = this.#checked.get(source) ?? { number: 0, atMs };
    const isLate = atMs - before.atMs >= (this.#options.lateMs ?? lateMs);
    if (isLate || !this.#checked.has(source)) this.#checked.set(source, { number, atMs });
    const heard = this.#numbers.get(source) ?? 0;
    if (this.#state === 'current' && (number < before.number || (isLate && heard < before.number))) this.#miss();
  }

  #isCurrent(): boolean {
    return this.#state === 'current';
  }

  #hear(message: Buffer): void {
    const [source, number, kind, ...fields] = unpackFields(message);
    if (!source || !number || !kind) return;
    const announcement = { source: `${source}`, number: Number(number), kind: `${kind}`, fields };
    if (announcement.kind === urgent) this.#options.apply(announcement);
    if (this.#state === 'current') this.#take(announcement, true);
    else if (this.#state === 'holding') this.#hold(announcement, message.length);
  }

  #hold(announcement: Announcement, bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > heldBytesMax)
      this.deafen(); // found out by `release`
    else this.#held.push(announcement);
  }

  #take(announcement: Announcement, tellMissed: boolean): void {
    const { source, number, kind } = announcement;
    const last = this.#numbers.get(source) ?? 0;
    if (this.#state !== 'current' || number <= last) return; // the state had it when it was read
    if (number > last + 1) {
      this.deafen();
      if (tellMissed) this.#options.missed();
      return;
    }
    this.#numbers.set(source, number);
    if (kind !== urgent) this.#options.apply(announcement);
  }

  #miss(): void {
    this.deafen();
    this.#options.missed();
  }
}
