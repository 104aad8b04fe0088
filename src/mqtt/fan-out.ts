import type { BrokerClient, OutgoingMessage } from './broker.ts';
import { brokerProperties } from './broker-properties.ts';
import type { MqttNode } from './node.ts';
import type { Pending } from './pending.ts';
import type { Publish } from './publish-packet.ts';

/** One client's messages on their way to subscribers. */
export class FanOut {
  readonly #node: MqttNode;
  readonly #client: BrokerClient;
  readonly #clientId: string;

  constructor(node: MqttNode, client: BrokerClient, clientId: string) {
    this.#node = node;
    this.#client = client;
    this.#clientId = clientId;
  }

  /** Undefined when nobody wants it: Aedes would spend a third of a publish on finding that out. */
  messageOf(publish: Publish): OutgoingMessage | undefined {
    if (!publish.retain && !this.#node.broker.wants(publish.known)) return undefined;
    const { topic, payload, qos, retain, properties } = publish;
    const message = { cmd: 'publish', clientId: this.#clientId, topic, payload, qos, retain, dup: false } as const;
    return properties ? { ...message, properties: brokerProperties(properties) } : message;
  }

  /** `pending.fannedOut` is called when subscribers' sockets and queues have it. */
  send(pending: Pending, message: OutgoingMessage): void {
    try {
      this.#node.broker.publish(message, this.#client, pending.fannedOut);
    } catch (error) {
      this.#node.logger.error({ err: error, clientId: this.#clientId }, 'mqtt fan-out failed');
      pending.fannedOut(error as Error);
    }
  }
}
