/** One inbound MQTT PUBLISH that the gate has checked. */
export interface DevicePublish {
  readonly topic: string;
  /** May be a view into a socket buffer: whoever keeps it past the call copies it (`encodeRecord` does). */
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined; // MQTT 5 only
  /** QoS 2 in a session that outlives its connection: the append is recognised when it is repeated (I6). */
  readonly dedupe?: { readonly scope: string; readonly packetId: number };
}

/** MQTT-3.3.2.3: what of a PUBLISH's properties travels with the message. */
export interface PublishProperties {
  readonly payloadFormat?: number;
  readonly messageExpirySeconds?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  readonly user?: readonly (readonly [key: string, value: string])[];
}

/** The way from MQTT into Pub/Sub; one for the process. */
export interface Uplink {
  /** @param clientId already checked: no `+ # NUL`, no lone surrogate. */
  open(clientId: string): DeviceUplink;
  /** PUBREL: the packet id may be used anew; durable on return. Unknown ids are fine. */
  release(scope: string, packetId: number): Promise<void>;
}

/** One connected client's way in; it remembers where each of its MQTT topics goes. */
export interface DeviceUplink {
  /**
   * @returns undefined when no route takes the topic (it stays MQTT-only); otherwise a promise that resolves when the
   *   message is durable in every topic that it was routed to (I1).
   * @throws (rejects) PubSubError UNAVAILABLE: not stored, or unknown; INVALID_ARGUMENT: this message can never be
   *   stored (a capture that is not allowed, a limit): do not send it again.
   */
  accept(publish: DevicePublish): Promise<void> | undefined;
}
