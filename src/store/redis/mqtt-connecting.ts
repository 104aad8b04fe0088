import type { ConnectGrant, ConnectRequest } from '../store.ts';
import { Unavailable } from './link.ts';
import type { Claim, Clients } from './mqtt-clients.ts';
import type { OwnConnections } from './mqtt-connections.ts';
import type { Departures } from './mqtt-departures.ts';
import type { OwnInterests } from './mqtt-interests.ts';
import type { Queues } from './mqtt-queues.ts';
import type { Recovery } from './mqtt-recovery.ts';
import type { EarlierIsOver, Takeovers } from './mqtt-takeovers.ts';
import type { WillsInHand } from './mqtt-wills.ts';

export interface ConnectingOptions {
  readonly node: string;
  readonly wills: WillsInHand;
  readonly queues: Queues;
  readonly clients: Clients;
  readonly recovery: Recovery;
  readonly interests: OwnInterests;
  readonly takeovers: Takeovers;
  readonly departures: Departures;
  readonly connections: OwnConnections;
}

/**
 * From a CONNECT to the grant of its session:
 *
 *     claimed (one script: the client is ours) ──► queue made, filters told, earlier connection over ──► granted
 *                                                    └── one of these fails: it departs again, as if it had never been
 */
export class Connecting {
  readonly #options: ConnectingOptions;

  constructor(options: ConnectingOptions) {
    this.#options = options;
  }

  /** @throws RESOURCE_EXHAUSTED, Unavailable */
  async connect(request: ConnectRequest): Promise<ConnectGrant> {
    const { takeovers, connections, departures } = this.#options;
    try {
      return await takeovers.during(request, (earlierIsOver) => this.#connect(request, earlierIsOver));
    } catch (error) {
      const { expirySeconds } = request;
      connections.remove(request);
      departures.remember(request, { sendWill: false, expirySeconds, sentUpTo: undefined });
      throw error;
    }
  }

  async #connect(request: ConnectRequest, earlierIsOver: EarlierIsOver): Promise<ConnectGrant> {
    const { connections, wills } = this.#options;
    const claim = await this.#claim(request);
    const { clientId, connection } = request;
    const { sessionId, present, subscriptions, previous, sentUpTo, generation, kept } = claim;
    const filters = new Map(Object.entries(subscriptions));
    connections.add({ clientId, connection, sessionId, generation, kept, subscriptions: filters });
    const earlierWill = wills.hand(clientId, claim.will);
    try {
      await Promise.all([earlierIsOver(claim), this.#prepare(claim)]);
    } catch (error) {
      wills.keep(earlierWill);
      throw error;
    }
    return { sessionId, present, subscriptions, previous, sentUpTo, earlierWill };
  }

  async #claim(request: ConnectRequest): Promise<Claim> {
    const { clients, recovery } = this.#options;
    const claim = await clients.connect(request);
    if (claim) return claim;
    await recovery.recover();
    const second = await clients.connect(request);
    if (second) return second;
    throw new Unavailable(
      'This node counts as dead for the others and could not join them again yet; try again.',
      true,
    );
  }

  async #prepare({ sessionId, kept, generation, grantedMs, ended }: Claim): Promise<void> {
    const { node, queues, interests, departures } = this.#options;
    await Promise.all([
      interests.tell(),
      kept && queues.attach(sessionId, node, generation, grantedMs),
      ended && departures.endQueues([ended]),
    ]);
  }
}
