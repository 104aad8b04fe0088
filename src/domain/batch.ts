/**
 * A batch: the messages of one group commit, packed into one value of the log. Offsets within a partition are
 * dense, so `firstOffset + i` is the offset of the i-th record.
 *
 * `bytes` is `{ u32 length, record }…`; see `encodeRecord` for what a record holds.
 */
export interface Batch {
  readonly firstOffset: number;
  readonly count: number;
  readonly publishMs: number; // Unix epoch, never decreasing within a partition
  readonly bytes: Uint8Array;
  /** Which history of its log it was read from (`LeaseGrant.generation`); absent where a log has only one. */
  readonly generation?: string;
}

const lengthBytes = 4;

/** Packs records in the order given. @param headBytes room left free in front, for the store's own header */
export function packRecords(records: readonly Uint8Array[], headBytes = 0): Buffer {
  const packed = Buffer.allocUnsafe(headBytes + packedBytes(records));
  let at = headBytes;
  for (const record of records) {
    at = packed.writeUInt32BE(record.length, at);
    packed.set(record, at);
    at += record.length;
  }
  return packed;
}

export function packedBytes(records: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const record of records) bytes += lengthBytes + record.length;
  return bytes;
}

/** The records of a batch, in order, as views into its bytes. */
export function unpackRecords(batch: Batch): Uint8Array[] {
  const bytes = batch.bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = new Array(batch.count);
  let at = 0;
  for (let i = 0; i < batch.count; i++) {
    const length = view.getUint32(at);
    at += lengthBytes;
    records[i] = bytes.subarray(at, at + length);
    at += length;
  }
  return records;
}
