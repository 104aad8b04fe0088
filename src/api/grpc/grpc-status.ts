import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { PubSubError } from '../../domain/errors.ts';
import { DetailedError, type ErrorInfo } from '../detailed-error.ts';
import { messageType } from './protocol.ts';

/** An error as gRPC answers it: the canonical code, the sentence, and `grpc-status-details-bin` where there is more. */
export function statusOf(error: unknown, callId: string): StatusObject {
  if (!(error instanceof PubSubError)) {
    const details = `The server failed; its log says more about request ${callId}.`;
    return { code: status.INTERNAL, details, metadata: new Metadata() };
  }
  const { code, message } = error;
  return { code: status[code], details: message, metadata: metadataOf(error) };
}

const statusType = messageType('google.rpc.Status');
const errorInfoType = messageType('google.rpc.ErrorInfo');

/** grpc-js has no API for it: google.rpc.Status with the code and sentence once more, and the details as Any. */
function metadataOf(error: PubSubError): Metadata {
  const metadata = new Metadata();
  if (!(error instanceof DetailedError)) return metadata;
  const errorInfo = errorInfoType.encode(fitting(error.info)).finish();
  const details = [{ type_url: 'type.googleapis.com/google.rpc.ErrorInfo', value: errorInfo }];
  const bytes = statusType.encode({ code: status[error.code], message: error.message, details }).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(bytes));
  return metadata;
}

/** Trailers are headers: clients refuse more than 16 KiB of them, and base64 adds a third. */
const infoBytesMax = 10 * 1024;
const entryBytes = 8; // tags and lengths

/**
 * As many entries as fit. Google's clients take an ack id that has none by the code of the whole call: as failed, which
 * at worst repeats an ack.
 */
function fitting({ metadata, ...info }: ErrorInfo): ErrorInfo {
  let bytes = 0;
  const entries = Object.entries(metadata).filter(([key, value]) => {
    bytes += entryBytes + Buffer.byteLength(key) + Buffer.byteLength(value);
    return bytes <= infoBytesMax;
  });
  return { ...info, metadata: Object.fromEntries(entries) };
}
