import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader } from '../../src/mqtt/frame-reader.ts';
import { packet } from './support/packets.ts';

const limit = 1_000_000;

function cutAll(reader: FrameReader): Buffer[] {
  const bodies: Buffer[] = [];
  while (reader.next(limit)) bodies.push(reader.buffer.subarray(reader.start, reader.end));
  return bodies;
}

describe('mqtt frame reader', () => {
  it('finds the same packets whatever the chunks are, and what it handed out stays as it was', () => {
    const sizes = fc.array(fc.oneof(fc.nat(5), fc.nat(300), fc.nat(40_000)), { maxLength: 12 });
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 30 }),
        (lengths, cuts) => {
          const bodies = lengths.map((length, index) => Buffer.alloc(length, index + 1));
          const stream = Buffer.concat(bodies.map((body) => packet(0x30, body)));
          const reader = new FrameReader();
          const found: Buffer[] = [];
          for (let at = 0, n = 0; at < stream.length; n++) {
            const size = cuts[n % cuts.length]!;
            reader.push(Buffer.from(stream.subarray(at, at + size)));
            found.push(...cutAll(reader));
            at += size;
          }
          expect(found.length).toBe(bodies.length);
          for (const [index, body] of bodies.entries()) expect(found[index]!.equals(body)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('leaves the rest of a chunk for later', () => {
    const reader = new FrameReader();
    reader.push(Buffer.concat([packet(0x30, Buffer.from('a')), packet(0x32, Buffer.from('bc'))]));
    expect(reader.next(limit)).toBe(true);
    reader.push(packet(0xc0));
    expect(cutAll(reader).map(String)).toEqual(['bc', '']);
    expect(reader.header).toBe(0xc0);
  });

  it('refuses a packet above its limit at the header, and takes one that fits to the byte', () => {
    const fits = new FrameReader();
    fits.push(packet(0x30, Buffer.alloc(97)));
    expect(fits.next(99)).toBe(true);
    const excess = new FrameReader();
    excess.push(Buffer.of(0x30, 98));
    expect(() => excess.next(99)).toThrow('The packet has 100 bytes; at most 99 are allowed here.');
  });

  it('holds no more than twice what it has received of a large packet', () => {
    const reader = new FrameReader();
    reader.push(Buffer.concat([Buffer.of(0x30, 0xc0, 0x84, 0x3d), Buffer.alloc(996)])); // one million bytes follow
    expect(reader.next(2_000_000)).toBe(false);
    for (let received = 1000; received < 100_000; received += 1000) {
      reader.push(Buffer.alloc(1000));
      expect(reader.next(2_000_000)).toBe(false);
      expect(reader.buffer.length).toBeLessThanOrEqual(2 * (received + 1000));
    }
  });
});
