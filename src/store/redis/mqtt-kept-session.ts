import type { KeptSession } from '../store.ts';
import { packFields, unpackFields } from './mqtt-fields.ts';

type Subscriptions = Readonly<Record<string, unknown>>;

/** What Redis keeps of a session, under its client id: read and written by nodes only, scripts hand it on. */
export function packSession(sessionId: string, subscriptions: Subscriptions): Buffer {
  return packFields([sessionId, JSON.stringify(subscriptions)]);
}

export function keptSession(clientId: Buffer, packed: Buffer): KeptSession {
  const [sessionId, subscriptions] = unpackFields(packed);
  return { clientId: `${clientId}`, sessionId: `${sessionId}`, subscriptions: subscriptionsOf(subscriptions) };
}

function subscriptionsOf(json: Buffer | undefined): Subscriptions {
  return json ? (JSON.parse(json.toString()) as Subscriptions) : {};
}
