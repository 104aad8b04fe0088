import { randomUUID } from 'node:crypto';
import type { Store } from '../../store/store.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Schedule } from '../schedule.ts';
import { Egress, type EgressOptions } from './egress.ts';
import type { PushHealth } from './endpoint-health.ts';
import { type HttpPushLimits, HttpPushSender } from './http-push-sender.ts';
import { type JsonWebKeySet, OidcKeys } from './oidc-keys.ts';
import { OidcTokens } from './oidc-tokens.ts';
import { defaultPushBounds, type PushBounds } from './push-bounds.ts';
import type { PushParts } from './push-parts.ts';
import { PushTally } from './push-tally.ts';
import { PushTurns } from './push-turns.ts';
import { Pusher } from './pusher.ts';

export interface PushOptions {
  /** Where messages may be pushed to. Absent: public addresses. */
  readonly egress: EgressOptions;
  /** Further certificate authorities that endpoints are trusted by, PEM. */
  readonly ca: string;
  /** URL of this server, the `iss` of its tokens: under it the keys are published. Asked when a token is made. */
  readonly issuer: () => string;
  readonly limits: Partial<PushBounds>;
  readonly httpLimits: Partial<HttpPushLimits>;
}

/** Push delivery, running. */
export interface Push {
  /** How the endpoint of a subscription does; undefined when this node does not push it. */
  health(subscription: string): PushHealth | undefined;
  /** The keys that push requests are signed with (RFC 7517). @throws UNAVAILABLE */
  publishedKeys(): Promise<JsonWebKeySet>;
  readonly issuer: () => string;
  /** @throws PubSubError INVALID_ARGUMENT the server may not push there. */
  readonly checkEndpoint: (endpoint: string) => void;
  counters(): ReturnType<Pusher['counters']>;
  /** Lets requests under way finish for `deadlineMs` at most; their messages, when cut, go back as they were. */
  close(deadlineMs: number): Promise<void>;
}

interface Core extends Pick<PushParts, 'subscriber'> {
  readonly store: Store;
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
}

/** @throws Error an allowed push target is not one. */
export function openPush(core: Core, options: Partial<PushOptions> = {}): Push {
  const { store, clock, schedule } = core;
  const { issuer = () => 'http://localhost', ca, limits, httpLimits = {} } = options;
  const bounds = { ...defaultPushBounds, ...limits };
  const egress = new Egress(options.egress ?? { loopback: false, allow: [] });
  const keys = new OidcKeys({ table: store.table('oidc-keys'), clock, newKid: randomUUID });
  const pusher = new Pusher({
    ...core,
    sender: new HttpPushSender({ egress, schedule, limits: httpLimits, ...(ca !== undefined && { ca }) }),
    tokens: new OidcTokens({ ...bounds, keys, issuer, clock }),
    turns: new PushTurns({ ...bounds, schedule }),
    tally: new PushTally(),
    bounds,
  });
  return {
    health: (subscription) => pusher.health(subscription),
    publishedKeys: () => keys.published(),
    issuer,
    checkEndpoint: (endpoint) => egress.checkEndpoint(endpoint),
    counters: () => pusher.counters(),
    close: (deadlineMs) => pusher.close(deadlineMs),
  };
}
