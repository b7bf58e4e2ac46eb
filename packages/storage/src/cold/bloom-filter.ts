import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import type { RowKey } from '../contract.ts';
import { keyHash } from './key-hash.ts';

/** 20 bits and 13 probes let (1 - e^(-13/20))^13 = 7 in 100,000 keys pass that are not there. */
const BITS_PER_KEY = 20;
const PROBES = 13;
/** What a filter is at least, so that few keys do not crowd few bits. */
const BITS_MIN = 256;

const MAGIC = 0x4d4c424b;
const FORMAT = 1;
const CHECKSUM_AT = 16;
const HEADER_BYTES = 20;

/** What a partition asks before it opens a segment: which keys the segment certainly does not hold. */
export class SegmentFilter {
  readonly #bits: Uint8Array;
  readonly #count: number;
  readonly #probes: number;

  constructor(bits: Uint8Array, probes: number) {
    this.#bits = bits;
    this.#count = bits.length * 8;
    this.#probes = probes;
  }

  /** Memory that the filter holds: 2.5 bytes for each key. */
  get bytes(): number {
    return this.#bits.length;
  }

  /** True for every key of the segment, and for at most 1 in 10,000 of the others. */
  mayHold(key: RowKey): boolean {
    const { first, second } = keyHash(key);
    let bit = first;
    let step = second;
    for (let probe = 0; probe < this.#probes; probe += 1) {
      const at = bit % this.#count;
      if (((this.#bits[at >>> 3] ?? 0) & (1 << (at & 7))) === 0) return false;
      bit = (bit + step) >>> 0;
      step = (step + probe + 1) >>> 0;
    }
    return true;
  }
}

/**
 * The filter over some keys as it lies beside the segment's file. Multi-byte fields are little-endian. The bits of a key are those
 * of enhanced double hashing (Dillinger and Manolios, "Bloom Filters in Probabilistic Verification", 2004) over two hashes
 * ({@link keyHash}): the first bit is `first mod bits`, each next one `second` further, which itself grows by the number of the probe;
 * sums are taken modulo 2^32.
 *
 * | at | bytes | content |
 * |---|---|---|
 * | 0 | 4 | `KBLM` |
 * | 4 | 1 | format: 1 |
 * | 5 | 1 | probes: 13 |
 * | 6 | 2 | 0 |
 * | 8 | 4 | keys |
 * | 12 | 4 | bytes of the bits |
 * | 16 | 4 | CRC32C of everything else, in this order; at the end it would make the CRC32C of every file the same |
 * | 20 | n | the bits: 20 for each key, at least 256, rounded up to 8; bit `i mod 8` of byte `i / 8` |
 *
 * Worked value, the key `'a'`: `4b424c4d 01 0d 0000 01000000 20000000 5efd58dc`, the bits
 * `0800004400004000000000004000044200000004000000001000400000210000`.
 */
export function encodeBloom(keys: Iterable<RowKey>, count: number): Uint8Array {
  const bits = Math.max(BITS_MIN, Math.ceil((count * BITS_PER_KEY) / 8) * 8);
  const file = Buffer.alloc(HEADER_BYTES + bits / 8);
  file.writeUInt32LE(MAGIC, 0);
  file[4] = FORMAT;
  file[5] = PROBES;
  file.writeUInt32LE(count, 8);
  file.writeUInt32LE(bits / 8, 12);
  for (const key of keys) {
    const { first, second } = keyHash(key);
    let bit = first;
    let step = second;
    for (let probe = 0; probe < PROBES; probe += 1) {
      const at = bit % bits;
      const byte = HEADER_BYTES + (at >>> 3);
      file[byte] = (file[byte] ?? 0) | (1 << (at & 7));
      bit = (bit + step) >>> 0;
      step = (step + probe + 1) >>> 0;
    }
  }
  file.writeUInt32LE(checksumOf(file), CHECKSUM_AT);
  return file;
}

function checksumOf(file: Buffer): number {
  return crc32c(file.subarray(HEADER_BYTES), crc32c(file.subarray(0, CHECKSUM_AT)));
}

/** The filter of a file. It keeps the bytes. Throws DAMAGED_DATA naming `where`. */
export function decodeBloom(file: Uint8Array, where: string): SegmentFilter {
  const damaged = (reason: string): Error => kalamError('DAMAGED_DATA', { where, reason });
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length <= HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) throw damaged('it is no bloom filter');
  if (checksumOf(bytes) !== bytes.readUInt32LE(CHECKSUM_AT)) throw damaged('it does not match its checksum');
  if (bytes[4] !== FORMAT) throw damaged(`its format is ${bytes[4]}; this release knows ${FORMAT}`);
  const bits = bytes.subarray(HEADER_BYTES);
  if (bits.length !== bytes.readUInt32LE(12)) throw damaged('it has another length than it says');
  return new SegmentFilter(bits, bytes[5] ?? 0);
}
