import { randomUUID } from 'node:crypto';
import type {
  ConnectGrant,
  ConnectionRef,
  ConnectRequest,
  Departure,
  Held,
  MqttState,
  MqttStateCounters,
  MqttStateEvents,
  MqttStateLimits,
  QueueEntry,
  QueuePage,
  SubscriptionChanges,
  TakenWill,
} from '../store.ts';
import type { Channels, Link } from './link.ts';
import type { Announcement } from './mqtt-announcements.ts';
import { Beats } from './mqtt-beats.ts';
import { Clients } from './mqtt-clients.ts';
import { Confirmations } from './mqtt-confirmations.ts';
import { Connecting } from './mqtt-connecting.ts';
import { OwnConnections } from './mqtt-connections.ts';
import { Departures } from './mqtt-departures.ts';
import { OwnInterests } from './mqtt-interests.ts';
import { MqttKeys } from './mqtt-keys.ts';
import { Mail, openMail } from './mqtt-mail.ts';
import { Queues } from './mqtt-queues.ts';
import { Recovery } from './mqtt-recovery.ts';
import { Retained } from './mqtt-retained.ts';
import { Sweep } from './mqtt-sweep.ts';
import { Takeovers } from './mqtt-takeovers.ts';
import { View } from './mqtt-view.ts';
import { WillsInHand } from './mqtt-wills.ts';

export interface RedisMqttStateOptions {
  readonly link: Link & Channels;
  /** Of all keys and channels. */
  readonly prefix: string;
  readonly limits: MqttStateLimits;
  readonly newNodeId?: () => string;
}

/**
 * What MQTT servers share, in Redis.
 *
 * WHO HAS A CLIENT is one hash, changed by scripts only. Each connection has a token; a script that acts for a connection
 * compares it, so a node that lost a client and does not know it yet changes nothing. Everything that changes together
 * with it (its session, its will, what time does next to it, who is connected where) is on the same server of a cluster:
 * one script, one step.
 *
 * WILLS leave a client inside such a script and are listed as taken by a node until that says `willSent`; see `WillsInHand`.
 *
 * QUEUES are elsewhere, see `Queues` for the order of steps.
 *
 * WHAT ALL NODES KNOW (sessions, retained messages, interests) is announced by the scripts that change it; see `View`.
 * What concerns one node (forwarded messages, wake-ups, the end of a connection that was replaced) goes by `Mail`.
 *
 * A NODE THAT WAS DECLARED DEAD and was only slow hears it from its next beat, from `connect`, or from the announcement
 * itself. It joins again and asks for each of its clients (`Recovery`): those that nobody has taken meanwhile are its own
 * again, their will still kept if it was not due; the others count as replaced.
 */
export class RedisMqttState implements MqttState {
  readonly node: string;
  readonly #options: RedisMqttStateOptions;
  readonly #keys: MqttKeys;
  readonly #others = new Set<string>();
  readonly #clients: Clients;
  readonly #queues: Queues;
  readonly #mail: Mail;
  readonly #beats: Beats;
  readonly #wills: WillsInHand;
  readonly #retained: Retained;
  readonly #departures: Departures;
  readonly #interests: OwnInterests;
  readonly #takeovers: Takeovers;
  readonly #connections: OwnConnections;
  readonly #confirmations: Confirmations;
  readonly #recovery: Recovery;
  readonly #connecting: Connecting;
  readonly #sweep: Sweep;
  #view: View | undefined;
  #events: MqttStateEvents | undefined;
  #stop: () => void = () => undefined;
  #forwardReceived = 0;

  constructor(options: RedisMqttStateOptions) {
    const { link, limits } = options;
    this.#options = options;
    this.node = (options.newNodeId ?? randomUUID)();
    const shared = { link, keys: new MqttKeys(options.prefix), node: this.node };
    const { keys } = shared;
    this.#keys = keys;
    this.#mail = new Mail({ channels: link, keys, forwardBytesMax: limits.forwardBytesMax });
    this.#beats = new Beats({ ...shared, nodeDeadMs: limits.nodeDeadMs });
    this.#clients = new Clients({ ...shared, sessionsMax: limits.sessionsMax });
    this.#wills = new WillsInHand(shared);
    this.#interests = new OwnInterests(shared);
    this.#connections = new OwnConnections(this.#interests);
    this.#confirmations = new Confirmations({ ...shared, mail: this.#mail, others: this.#others });
    this.#retained = new Retained({
      ...shared,
      confirmations: this.#confirmations,
      messagesMax: limits.retainedMessagesMax,
      bytesMax: limits.retainedBytesMax,
    });
    this.#queues = new Queues({
      ...shared,
      messagesMax: limits.sessionQueueMessagesMax,
      bytesMax: limits.sessionQueueBytesMax,
      wake: (node, sessionId) => this.#wake(node, sessionId),
    });
    this.#departures = new Departures({ clients: this.#clients, queues: this.#queues, wills: this.#wills });
    this.#takeovers = new Takeovers({
      ...shared,
      mail: this.#mail,
      takeoverMs: limits.takeoverMs,
      onReplaced: async (ref) => this.#events?.onReplaced(ref),
    });
    const parts = {
      node: this.node,
      beats: this.#beats,
      wills: this.#wills,
      queues: this.#queues,
      clients: this.#clients,
      interests: this.#interests,
      takeovers: this.#takeovers,
      departures: this.#departures,
      connections: this.#connections,
    };
    this.#recovery = new Recovery({ ...parts, onQueued: (sessionId) => this.#events?.onQueued(sessionId) });
    this.#connecting = new Connecting({ ...parts, recovery: this.#recovery });
    this.#sweep = new Sweep({ ...parts, recovery: this.#recovery });
  }

  async open(events: MqttStateEvents): Promise<void> {
    const { link } = this.#options;
    this.#events = events;
    const view = new View({
      link,
      keys: this.#keys,
      node: this.node,
      others: this.#others,
      events,
      onAnnouncement: (announcement) => this.#announced(announcement),
      onRead: (numbers) => {
        this.#confirmations.restart(numbers);
        void this.#recovery.recover();
      },
    });
    this.#view = view;
    // In one turn with the subscription to what all hear, so both are confirmed together.
    const own = this.#keys.channelOf(this.node);
    this.#stop = link.subscribe(
      own,
      (message) => message && openMail(message, (kind, body) => this.#letter(kind, body)),
    );
    await view.listen();
    await this.#beats.beat(true);
    await view.open();
  }

  connect(request: ConnectRequest): Promise<ConnectGrant> {
    return this.#connecting.connect(request);
  }

  async disconnect(ref: ConnectionRef, departure: Departure): Promise<TakenWill | undefined> {
    const connection = this.#connections.remove(ref);
    if (connection) this.#interests.tell().catch(ignore); // told again with the next sweep
    const will = await this.#departures.depart(ref, departure);
    if (connection?.kept) this.#queues.detach(connection).catch(ignore); // wakes this node for nothing, that is all
    return will;
  }

  async subscribe(ref: ConnectionRef, changes: SubscriptionChanges): Promise<Held> {
    const connection = this.#connections.get(ref);
    if (!connection) return 'lost';
    this.#connections.subscribe(connection, changes);
    const [session, interest] = await Promise.all([this.#clients.subscribe(connection), this.#interests.tell()]);
    if (session === undefined) return 'lost';
    await this.#confirmations.everywhere(Math.max(session, interest));
    return 'held';
  }

  willSent(will: TakenWill): Promise<void> {
    return this.#wills.sent(will);
  }

  sweep(): Promise<TakenWill[]> {
    return this.#sweep.run(this.#view);
  }

  enqueue(entries: readonly QueueEntry[]): Promise<number> {
    return this.#queues.enqueue(entries);
  }

  queued(sessionId: string, after: number, messagesMax: number, bytesMax: number): Promise<QueuePage> {
    return this.#queues.queued(sessionId, after, messagesMax, bytesMax);
  }

  markReceived(sessionId: string, id: number): Promise<void> {
    return this.#queues.markReceived(sessionId, id);
  }

  settle(sessionId: string, ids: readonly number[]): Promise<void> {
    return this.#queues.settle(sessionId, ids);
  }

  retain(topic: string, message: Uint8Array | undefined): Promise<boolean> {
    return this.#retained.retain(topic, message);
  }

  forward(nodes: readonly string[], message: Uint8Array): void {
    this.#mail.forward(nodes, message);
  }

  counters(): MqttStateCounters {
    return {
      sessions: this.#sweep.sessions,
      nodes: this.#others.size,
      queueRefused: this.#queues.refused,
      forwarded: this.#mail.forwarded,
      forwardDropped: this.#mail.forwardDropped,
      forwardReceived: this.#forwardReceived,
      takeovers: this.#takeovers.takeovers,
      takeoverTimeouts: this.#takeovers.timeouts,
      resets: this.#view?.resets ?? 0,
      retainedMessages: this.#view?.retainedMessages ?? 0,
      retainedBytes: this.#view?.retainedBytes ?? 0,
    };
  }

  async close(): Promise<void> {
    this.#stop();
    this.#view?.close();
    await this.#beats.leave().catch(ignore); // the others notice that the beats have stopped
  }

  #wake(node: string, sessionId: string): void {
    if (node === this.node) this.#events?.onQueued(sessionId);
    else if (this.#others.has(node)) this.#mail.post(node, 'queued', sessionId);
  }

  #letter(kind: string, body: Buffer): void {
    if (kind === 'forward') {
      this.#forwardReceived++;
      this.#events?.onForwarded(body);
    } else if (kind === 'queued') {
      if (this.#connections.hasSession(`${body}`)) this.#events?.onQueued(`${body}`);
    } else if (kind === 'over') this.#takeovers.over(`${body}`);
    else if (kind === 'seen') this.#confirmations.seen(`${body}`);
  }

  #announced({ source, number, kind, fields }: Announcement): void {
    const node = source === 'clients' ? `${fields[0]}` : '';
    if (kind === 'replaced' && node === this.node) this.#replaced(fields.map(String));
    if (kind === 'gone') this.#gone(node);
    if ((kind === 'session' || kind === 'interest') && node !== this.node) this.#confirmations.owe(node, number);
    if (kind !== 'replaced') this.#confirmations.heard(source, number); // that comes ahead of its turn
  }

  #replaced([, clientId, earlier, node, connection]: readonly string[]): void {
    void this.#takeovers.replaced(
      { clientId: clientId!, connection: earlier! },
      { node: node!, connection: connection! },
    );
  }

  #gone(node: string): void {
    if (node === this.node) void this.#recovery.recover();
    this.#takeovers.nodeGone(node);
    this.#confirmations.nodeGone(node);
  }
}

function ignore(): void {}
