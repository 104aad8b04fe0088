/** What a session keeps of one of its subscriptions, beside the filter (MQTT5 §3.8.3.1). */
export interface Subscription {
  readonly qos: 0 | 1 | 2;
  // MQTT 5 only:
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly identifier?: number;
}

/** What a message's subscriber is entitled to: its filters that match, taken together. */
export interface Entitlement {
  qos: 0 | 1 | 2;
  retainAsPublished: boolean;
  readonly identifiers: number[];
}

/** MQTT-3.3.4-2, -4: one copy, at the highest QoS of the filters that match, with all their identifiers. */
export function entitle(entitlement: Entitlement | undefined, subscription: Subscription): Entitlement {
  const { qos, retainAsPublished = false, identifier } = subscription;
  if (!entitlement) return { qos, retainAsPublished, identifiers: identifier === undefined ? [] : [identifier] };
  if (qos > entitlement.qos) entitlement.qos = qos;
  if (retainAsPublished) entitlement.retainAsPublished = true;
  if (identifier !== undefined && !entitlement.identifiers.includes(identifier)) {
    entitlement.identifiers.push(identifier);
  }
  return entitlement;
}
