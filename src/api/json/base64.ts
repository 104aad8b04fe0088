import { type JsonField, wrongType } from './json-field.ts';

/**
 * Decodes base64 as proto3 JSON allows it: the standard or the URL-safe alphabet, with or without padding.
 * `Buffer.from` skips every character that it does not know; the length of what it made tells whether it skipped any.
 * @returns undefined when it is not base64.
 */
export function decodeBase64(text: string): Buffer | undefined {
  let length = text.length;
  if (text.charCodeAt(length - 1) === equals) {
    if (length % 4 !== 0) return undefined;
    length -= text.charCodeAt(length - 2) === equals ? 2 : 1;
  }
  if (length % 4 === 1) return undefined; // six bits are no byte
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === Math.floor((length * 3) / 4) ? bytes : undefined;
}

const equals = 61;

/** Standard alphabet, padded. */
export function encodeBase64(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('base64');
}

export function base64(description: string): JsonField<Uint8Array> {
  return {
    schema: { type: 'string', format: 'byte', description },
    read(value, at) {
      const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
      if (bytes === undefined) throw wrongType(value, at, 'bytes in base64, standard or URL-safe');
      return bytes;
    },
  };
}
