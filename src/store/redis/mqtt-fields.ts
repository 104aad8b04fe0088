/**
 * Strings of bytes as one string of bytes: each with its length, 32 bits, big-endian, in front. What nodes publish to each
 * other, and what the scripts keep of sessions and wills (scripts/mqtt-announce.lua).
 */
export function packFields(fields: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    const bytes = typeof field === 'string' ? Buffer.from(field) : field;
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

/** The same bytes as what Redis' client takes. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @returns views of `packed`; what is cut off at its end is left out. */
export function unpackFields(packed: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at + 4 <= packed.length; ) {
    const end = at + 4 + packed.readUInt32BE(at);
    if (end > packed.length) break;
    fields.push(packed.subarray(at + 4, end));
    at = end;
  }
  return fields;
}
