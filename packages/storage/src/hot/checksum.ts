import type { Buffer } from 'node:buffer';
import { crc32c } from '@node-rs/crc32';

/** Up to here running over bytes by table costs less than a call of the native function. */
const TABLE_BYTES_MAX = 128;
const CASTAGNOLI_REVERSED = 0x82f63b78;

const table: Int32Array = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ CASTAGNOLI_REVERSED;
  return crc;
});

/** CRC32C (Castagnoli) of a binary string. */
export function checksumOfText(text: string): number {
  let crc = -1;
  for (let at = 0; at < text.length; at += 1) crc = (table[(crc ^ text.charCodeAt(at)) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

/** CRC32C of what `seed` is the checksum of, followed by the bytes from `start` to `end`; 0 is the seed of nothing. */
export function checksumOfBytes(source: Buffer, range: { readonly start: number; readonly end: number }, seed: number): number {
  const { start, end } = range;
  if (end - start > TABLE_BYTES_MAX) return crc32c(source.subarray(start, end), seed);
  let crc = seed ^ -1;
  for (let at = start; at < end; at += 1) crc = (table[(crc ^ (source[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}
