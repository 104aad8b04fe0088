import { Histogram } from './histogram.ts';

/** What a fleet counts, summed over its devices; who is at fault in particular is the ledger's business. */
export class FleetCounters {
  /** Different messages that went out at least once. */
  sent = 0;
  /** Finished: PUBACK at QoS 1, PUBCOMP at QoS 2; at QoS 0 written to a connection that ended in good order. */
  acked = 0;
  /** PUBLISH and PUBREL repeated on a new connection. */
  resent = 0;
  reconnects = 0;
  dropsInjected = 0;
  /** Readings that the offline buffer had no room for. */
  bufferDrops = 0;
  /** Connections on which the server no longer knew the session of a device with unfinished messages. */
  sessionsLost = 0;
  /** QoS 2 messages given up because an MQTT 5 server lost their session; see outgoing-session.ts. */
  abandoned = 0;
  /** Messages that the server answered with an MQTT 5 error. */
  refused = 0;
  /** Acknowledgements that fit no unfinished message. */
  acksUnexpected = 0;
  /** From the first PUBLISH to the final acknowledgement, outages included. */
  readonly ackLatency = new Histogram();
  /** How long after its due time a message first went out. */
  readonly lag = new Histogram();
}
