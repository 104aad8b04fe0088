import type { BrokerClient } from './broker.ts';
import {
  acknowledgementForBroker,
  disconnectForBroker,
  subscribeForBroker,
  unsubscribeForBroker,
} from './broker-packets.ts';
import type { BrokerStream } from './broker-stream.ts';
import type { ProtocolVersion } from './connect-packet.ts';
import { checkFlags, packetName, packetTypes, readAcknowledgement, readDisconnect } from './control-packets.ts';
import type { MqttLimits } from './limits.ts';
import type { Outbox } from './outbox.ts';
import { malformed, protocolError, Refusal, reasonCodes } from './refusal.ts';
import { pingresp } from './replies.ts';
import { readSubscribe, readUnsubscribe } from './subscribe-packet.ts';

export interface ControlIntakeOptions {
  readonly version: ProtocolVersion;
  readonly limits: MqttLimits;
  readonly outbox: Outbox;
  readonly stream: BrokerStream;
  readonly client: BrokerClient;
  /** As the CONNECT said. */
  readonly expirySeconds: number;
  /** PUBREL. @throws Refusal */
  readonly onRelease: (packetId: number) => void;
}

/**
 * What becomes of a connected client's packets other than PUBLISH: PINGREQ is answered here, the rest goes to Aedes in
 * words of our own (`broker-packets.ts`).
 */
export class ControlIntake {
  /** A SUBSCRIBE or UNSUBSCRIBE that Aedes has not answered yet: until then nothing is read, so that packets take effect
   * in their order. */
  unanswered = false;
  /** The client has said DISCONNECT. */
  leaving = false;
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
    const { version, limits, outbox, stream } = this.#options;
    switch (header >> 4) {
      case packetTypes.puback:
      case packetTypes.pubrec:
      case packetTypes.pubcomp:
        stream.feed(acknowledgementForBroker(header, readAcknowledgement(header, body, version)));
        break;
      case packetTypes.pubrel:
        this.#options.onRelease(readAcknowledgement(header, body, version).packetId);
        break;
      case packetTypes.subscribe:
        this.#subscribe(body);
        break;
      case packetTypes.unsubscribe:
        this.#ask(unsubscribeForBroker(readUnsubscribe(body, version, limits), version));
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

  #subscribe(body: Buffer): void {
    const { version, limits, client } = this.#options;
    const packet = readSubscribe(body, version, limits);
    const filters = new Set([...Object.keys(client.subscriptions), ...packet.filters]).size;
    if (filters > limits.subscriptionsMax) {
      const message = `That makes ${filters} subscriptions; ${limits.subscriptionsMax} are allowed. Use wildcards.`;
      throw new Refusal(reasonCodes.quotaExceeded, message, 'subscription_limit');
    }
    this.#ask(subscribeForBroker(packet, version));
  }

  #ask(packet: Buffer): void {
    this.unanswered = true;
    this.#options.stream.feed(packet);
  }

  #leave(body: Buffer): void {
    const { version, limits, stream, expirySeconds } = this.#options;
    const { reasonCode, sessionExpirySeconds } = readDisconnect(body, version);
    if (sessionExpirySeconds !== undefined) {
      if (expirySeconds === 0 && sessionExpirySeconds > 0) {
        throw protocolError('DISCONNECT: the session expiry was 0 in CONNECT and cannot be raised.'); // MQTT5 §3.14.2.2.2
      }
      this.expirySeconds = Math.min(sessionExpirySeconds, limits.sessionExpirySecondsMax);
    }
    this.leaving = true;
    stream.feed(disconnectForBroker(reasonCode, version));
  }
}
