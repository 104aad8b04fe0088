/** Slots of a cluster (Redis Cluster specification, "Key distribution model"). */
export const slotCount = 16_384;

/** The slot of a key: CRC16 (XMODEM) of what is between its first `{` and the next `}`, if anything, else of all of it. */
export function slotOf(key: string | Buffer): number {
  const text = key.toString();
  const open = text.indexOf('{');
  const close = open < 0 ? -1 : text.indexOf('}', open + 1);
  return crc16(Buffer.from(close > open + 1 ? text.slice(open + 1, close) : text)) % slotCount;
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ table[((crc >> 8) ^ byte) & 0xff]!) & 0xffff;
  return crc;
}

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});
