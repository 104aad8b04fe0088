import type { MqttStateEvents } from '../store.ts';
import { type Channels, type Link, Unavailable } from './link.ts';
import { type Announcement, Announcements } from './mqtt-announcements.ts';
import { keptSession } from './mqtt-kept-session.ts';
import type { MqttKeys } from './mqtt-keys.ts';
import { readAnnounced, readInterests, readNodes, readRetained, readSessions } from './mqtt-pages.ts';

export interface ViewOptions {
  readonly link: Link & Channels;
  readonly keys: MqttKeys;
  readonly node: string;
  readonly events: MqttStateEvents;
  /** Nodes that live, without this one; the view's to change. */
  readonly others: Set<string>;
  /** After each announcement, once it is applied: what is not for the MQTT side. */
  readonly onAnnouncement: (announcement: Announcement) => void;
  /** Everything was read, up to these numbers of announcements; before `onCurrent`. */
  readonly onRead: (numbers: ReadonlyMap<string, number>) => void;
}

/** How long the first subscription may take. */
const listenMs = 5000;

/**
 * What this node knows of the others: kept sessions, retained messages, interests. Read in pages, then kept up by
 * announcements; when some of those were missed it is read again, at once or, if that fails, with the next `sweep`.
 */
export class View {
  readonly #options: ViewOptions;
  readonly #announcements: Announcements;
  #reading: Promise<void> | undefined;
  #isOpen = false;
  #isStale = true;
  resets = 0;
  retainedMessages = 0;
  retainedBytes = 0;

  constructor(options: ViewOptions) {
    this.#options = options;
    const { link, keys } = options;
    this.#announcements = new Announcements({
      channels: link,
      channel: keys.channel,
      apply: (announcement) => this.#apply(announcement),
      missed: () => this.#missed(),
    });
  }

  /** Hears announcements from now on. @throws Unavailable */
  async listen(): Promise<void> {
    if (await this.#announcements.listen(listenMs)) return;
    throw new Unavailable('Redis did not confirm the subscription to its channels in time; try again.', true);
  }

  /** Reads everything for the first time. @throws Unavailable */
  async open(): Promise<void> {
    await this.#read();
    this.#isOpen = true;
  }

  /** Reads everything again. Never throws: what fails is tried again by `check`. */
  reread(): Promise<void> {
    this.#isStale = true;
    this.#reading ??= this.#reread().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** To be called about every second. @param clientsAnnounced number of the last announcement @throws Unavailable */
  async check(clientsAnnounced: number): Promise<void> {
    const { link, keys } = this.#options;
    const [retained, bytes, announced] = await Promise.all([
      link.command('HLEN', keys.retained),
      link.command('GET', keys.retainedBytes),
      link.command('GET', keys.retainedAnnounced),
    ]);
    this.retainedMessages = Number(retained);
    this.retainedBytes = Number(bytes ?? 0);
    this.#announcements.check('clients', clientsAnnounced);
    this.#announcements.check('retained', Number(announced ?? 0));
    if (this.#isStale) await this.reread();
  }

  close(): void {
    this.#isOpen = false;
    this.#announcements.close();
  }

  #missed(): void {
    if (this.#isOpen) void this.reread();
  }

  async #reread(): Promise<void> {
    try {
      this.resets++;
      this.#options.events.onReset();
      await this.#read();
    } catch {
      this.#announcements.deafen(); // still stale
    }
  }

  async #read(): Promise<void> {
    const { link, keys, node, others, events, onRead } = this.#options;
    this.#announcements.hold();
    const numbers = await readAnnounced(link, keys);
    const nodes = await readNodes(link, keys);
    others.clear();
    for (const other of nodes) if (other !== node) others.add(other);
    await readInterests(link, keys, (other, filter) => {
      if (others.has(other)) events.onInterest(other, filter, true);
    });
    await readSessions(link, keys, (session) => events.onSession(session));
    await readRetained(link, keys, (topic, message) => events.onRetained(topic, message));
    onRead(numbers);
    if (!this.#announcements.release(numbers)) throw new Unavailable('Announcements of other nodes were lost.', true);
    this.#isStale = false;
    events.onCurrent();
  }

  #apply(announcement: Announcement): void {
    const [first, second, third] = announcement.fields;
    const { events, others, node } = this.#options;
    const name = `${first ?? ''}`;
    switch (announcement.kind) {
      case 'joined':
        if (name !== node) others.add(name);
        break;
      case 'gone':
        if (others.delete(name)) events.onNodeGone(name);
        break;
      case 'begun':
        events.onSession(keptSession(first!, second!));
        break;
      case 'session':
        events.onSession(keptSession(second!, third!));
        break;
      case 'ended':
        events.onSessionEnded(name);
        break;
      case 'interest':
        if (name !== node) this.#interests(name, announcement.fields.slice(1));
        break;
      case 'kept':
        events.onRetained(name, second);
        break;
      case 'removed':
        events.onRetained(name, undefined);
        break;
    }
    this.#options.onAnnouncement(announcement);
  }

  #interests(node: string, changes: readonly Buffer[]): void {
    for (const change of changes) this.#options.events.onInterest(node, change.toString('utf8', 1), change[0] === 0x2b);
  }
}
