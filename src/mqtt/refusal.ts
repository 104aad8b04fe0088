import type { CloseReason } from './counters.ts';

/** MQTT 5 reason codes that this server sends (MQTT5 §2.4). */
export const reasonCodes = {
  success: 0x00,
  disconnectWithWill: 0x04,
  unspecifiedError: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdNotFound: 0x92,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
} as const;

export type ReasonCode = (typeof reasonCodes)[keyof typeof reasonCodes];

/**
 * Why the server ends a connection. An MQTT 5 client is told code and message (I9); before 5 there is no packet for
 * that, save the return code of a CONNACK.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ReasonCode;
  readonly closeReason: CloseReason;

  constructor(code: ReasonCode, message: string, closeReason: CloseReason = 'protocol_error') {
    super(message);
    this.code = code;
    this.closeReason = closeReason;
  }
}

/** The bytes are not what the specification says they are. */
export function malformed(message: string): Refusal {
  return new Refusal(reasonCodes.malformedPacket, message);
}

/** The bytes are well-formed, but this client may not send them, or not now. */
export function protocolError(message: string): Refusal {
  return new Refusal(reasonCodes.protocolError, message);
}

/** MQTT-3.1.4-3 */
export function takenOver(): Refusal {
  return new Refusal(reasonCodes.sessionTakenOver, 'The same client id has connected again.', 'taken_over');
}

/** The CONNACK return code of MQTT 3.1.1 (§3.2.2.3) that says the same; undefined: close without a CONNACK. */
export function returnCodeOf(code: ReasonCode): number | undefined {
  switch (code) {
    case reasonCodes.unsupportedProtocolVersion:
      return 1;
    case reasonCodes.clientIdNotValid:
      return 2;
    case reasonCodes.serverUnavailable:
    case reasonCodes.quotaExceeded:
      return 3;
    case reasonCodes.badUserNameOrPassword:
      return 4;
    case reasonCodes.notAuthorized:
      return 5;
    default:
      return undefined;
  }
}
