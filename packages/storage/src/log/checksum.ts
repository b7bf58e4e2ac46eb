import type { Buffer } from 'node:buffer';
import { crc32c } from '@node-rs/crc32';

/** Up to here running over bytes by table costs less than a call of the native function. */
const TABLE_BYTES_MAX = 224;
const CASTAGNOLI_REVERSED = 0x82f63b78;

const table: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ CASTAGNOLI_REVERSED;
  return crc;
});

/** What a byte comes to when one, two and three more follow it: four at a time take half as long as one after another. */
const [table1, table2, table3] = tablesAfter(table);

function tablesAfter(first: Int32Array): readonly [Int32Array, Int32Array, Int32Array] {
  const after = (before: Int32Array): Int32Array => before.map((crc) => (first[crc & 0xff] ?? 0) ^ (crc >>> 8));
  const one = after(first);
  const two = after(one);
  return [one, two, after(two)];
}

/** CRC32C (Castagnoli) of a binary string, as a signed number: those the runtime keeps without an object. */
export function checksumOfText(text: string): number {
  let crc = -1;
  for (let at = 0; at < text.length; at += 1) crc = (table[(crc ^ text.charCodeAt(at)) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc ^ -1;
}

/** CRC32C, signed, of what `seed` is the checksum of, followed by the bytes from `start` to `end`; 0 is the seed of nothing. */
export function checksumOfBytes(source: Buffer, start: number, end: number, seed: number): number {
  if (end - start > TABLE_BYTES_MAX) return crc32c(source.subarray(start, end), seed >>> 0) | 0;
  let crc = seed ^ -1;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    crc ^= (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8) | ((source[at + 2] ?? 0) << 16) | ((source[at + 3] ?? 0) << 24);
    crc = (table3[crc & 0xff] ?? 0) ^ (table2[(crc >>> 8) & 0xff] ?? 0) ^ (table1[(crc >>> 16) & 0xff] ?? 0) ^ (table[crc >>> 24] ?? 0);
  }
  for (; at < end; at += 1) crc = (table[(crc ^ (source[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return crc ^ -1;
}
