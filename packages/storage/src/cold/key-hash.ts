/** What two runs of the hash begin with; the fractional bits of the golden ratio and of the square root of two. */
const SEED_1 = 0x9e3779b9;
const SEED_2 = 0x6a09e667;

/** Two hashes of a key, independent of each other; unsigned 32-bit integers. */
export interface KeyHash {
  readonly first: number;
  readonly second: number;
}

/**
 * MurmurHash3_x86_32 of a binary string with two seeds (Austin Appleby, https://github.com/aappleby/smhasher, MurmurHash3.cpp, public
 * domain). The hashes are part of the format of bloom filters.
 *
 * Worked values, as `first second`: `''` → `92ca2f0e 09f45f69`; `'a'` → `6c28bcc4 b712665a`.
 */
export function keyHash(key: string): KeyHash {
  return { first: murmur3(key, SEED_1), second: murmur3(key, SEED_2) };
}

/** MurmurHash3_x86_32 of a binary string, one char per byte; an unsigned 32-bit integer. */
export function murmur3(bytes: string, seed: number): number {
  const length = bytes.length;
  const whole = length & ~3;
  let hash = seed;
  for (let at = 0; at < whole; at += 4) {
    const block =
      bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8) | (bytes.charCodeAt(at + 2) << 16) | (bytes.charCodeAt(at + 3) << 24);
    hash ^= scrambled(block);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = length - 1; at >= whole; at -= 1) tail = (tail << 8) | bytes.charCodeAt(at);
  if (whole < length) hash ^= scrambled(tail);
  hash ^= length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scrambled(block: number): number {
  const once = Math.imul(block, 0xcc9e2d51);
  return Math.imul((once << 15) | (once >>> 17), 0x1b873593);
}
