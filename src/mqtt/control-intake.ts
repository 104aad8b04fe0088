import type { ProtocolVersion } from './connect-packet.ts';
import { checkFlags, packetName, packetTypes, readAcknowledgement, readDisconnect } from './control-packets.ts';
import type { MqttLimits } from './limits.ts';
import type { Outbox } from './outbox.ts';
import { malformed, protocolError } from './refusal.ts';
import { pingresp } from './replies.ts';
import type { Sender } from './sender.ts';
import { readSubscribe, readUnsubscribe } from './subscribe-packet.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface ControlIntakeOptions {
  readonly version: ProtocolVersion;
  readonly limits: MqttLimits;
  readonly outbox: Outbox;
  readonly sender: Sender;
  readonly subscriptions: Subscriptions;
  /** As the CONNECT said. */
  readonly expirySeconds: number;
  /** PUBREL. @throws Refusal */
  readonly onRelease: (packetId: number) => void;
  /** DISCONNECT. */
  readonly onLeave: () => void;
}

/** What becomes of a connected client's packets other than PUBLISH: each is checked, and goes to whom it concerns. */
export class ControlIntake {
  /** A SUBSCRIBE or UNSUBSCRIBE has not been answered yet: until then nothing is read, so that packets take effect in
   * their order. */
  unanswered = false;
  /** Unless the client takes it back with a DISCONNECT, its will is published when the connection is over. */
  sendWill = true;
  /** How long its session outlives the connection; a DISCONNECT may change it. */
  expirySeconds: number;
  readonly #options: ControlIntakeOptions;

  constructor(options: ControlIntakeOptions) {
    this.#options = options;
    this.expirySeconds = options.expirySeconds;
  }

  /** @throws Refusal */
  take(header: number, body: Buffer): void {
    checkFlags(header);
    const { version, limits, outbox, subscriptions } = this.#options;
    switch (header >> 4) {
      case packetTypes.puback:
      case packetTypes.pubrec:
      case packetTypes.pubcomp:
        this.#acknowledge(header, body);
        break;
      case packetTypes.pubrel:
        this.#options.onRelease(readAcknowledgement(header, body, version).packetId);
        break;
      case packetTypes.subscribe:
        this.unanswered = true;
        subscriptions.subscribe(readSubscribe(body, version, limits));
        break;
      case packetTypes.unsubscribe:
        this.unanswered = true;
        subscriptions.unsubscribe(readUnsubscribe(body, version, limits));
        break;
      case packetTypes.pingreq:
        if (body.length > 0) throw malformed('PINGREQ: it has a body.');
        outbox.write(pingresp);
        break;
      case packetTypes.disconnect:
        this.#leave(body);
        break;
      case packetTypes.connect:
        throw protocolError('CONNECT: a second one on the same connection.'); // MQTT-3.1.0-2
      default:
        throw protocolError(`${packetName(header)} is not for a client to send here.`);
    }
  }

  #acknowledge(header: number, body: Buffer): void {
    const { packetId, reasonCode } = readAcknowledgement(header, body, this.#options.version);
    this.#options.sender.acknowledge(header >> 4, packetId, reasonCode);
  }

  #leave(body: Buffer): void {
    const { version, limits, expirySeconds, onLeave } = this.#options;
    const { reasonCode, sessionExpirySeconds } = readDisconnect(body, version);
    if (sessionExpirySeconds !== undefined) {
      if (expirySeconds === 0 && sessionExpirySeconds > 0) {
        throw protocolError('DISCONNECT: the session expiry was 0 in CONNECT and cannot be raised.'); // MQTT5 §3.14.2.2.2
      }
      this.expirySeconds = Math.min(sessionExpirySeconds, limits.sessionExpirySecondsMax);
    }
    this.sendWill = reasonCode !== 0; // MQTT-3.14.4-3
    onLeave();
  }
}
