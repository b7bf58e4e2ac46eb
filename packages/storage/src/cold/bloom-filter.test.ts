import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RowKey } from '../contract.ts';
import { BloomCache } from './bloom-cache.ts';
import { decodeBloom, encodeBloom, type SegmentFilter } from './bloom-filter.ts';
import { keyHash, murmur3 } from './key-hash.ts';

const anyKey = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) }).map((text) => text as RowKey);
const filterOf = (keys: readonly RowKey[]): SegmentFilter => decodeBloom(encodeBloom(keys, keys.length), 'a filter');
/** Keys as 64-bit integers have them: neighbours that differ in few bits. */
const numberKey = (value: number): RowKey => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(0x8000_0000);
  bytes.writeUInt32BE(value, 4);
  return bytes.toString('latin1') as RowKey;
};

it('holds every key that it was made of', () => {
  fc.assert(
    fc.property(fc.array(anyKey), (keys) => {
      const filter = filterOf(keys);
      for (const key of keys) expect(filter.mayHold(key)).toBe(true);
    }),
  );
});

it('lets at most 1 in 10,000 other keys pass, with 2.5 bytes for each of its own', () => {
  for (const [first, step] of [
    [0, 1],
    [7, 1000],
  ] as const) {
    const filter = filterOf(Array.from({ length: 65_536 }, (_, index) => numberKey(first + index * step)));
    expect(filter.bytes).toBe(163_840);
    let passed = 0;
    for (let index = 0; index < 300_000; index += 1) if (filter.mayHold(numberKey(0x7000_0000 + index * 3))) passed += 1;
    expect(passed).toBeLessThan(30);
  }
  const uuids = (from: number, count: number): RowKey[] =>
    Array.from({ length: count }, (_, index) => `018f4a3c${numberKey(Math.imul(from + index, 0x9e3779b1) >>> 0)}` as RowKey);
  const filter = filterOf(uuids(0, 1_000));
  expect(uuids(1_000, 300_000).filter((key) => filter.mayHold(key)).length).toBeLessThan(30);
});

it('hashes as MurmurHash3 does, and is laid out as documented', () => {
  // The reference's own values for x86_32.
  expect([murmur3('', 0), murmur3('', 1), murmur3('hello', 0), murmur3('hello, world', 0)]).toEqual([
    0, 0x514e28b7, 0x248bfa47, 0x149bbb7f,
  ]);
  expect([keyHash(''), keyHash('a')].map(({ first, second }) => `${first.toString(16)} ${second.toString(16)}`)).toMatchInlineSnapshot(`
    [
      "92ca2f0e 9f45f69",
      "6c28bcc4 b712665a",
    ]
  `);
  expect(Buffer.from(encodeBloom(['a' as RowKey], 1)).toString('hex')).toMatchInlineSnapshot(
    `"4b424c4d010d000001000000200000005efd58dc0800004400004000000000004000044200000004000000001000400000210000"`,
  );
});

it('as a file has a checksum that tells it from other filters', () => {
  const sums = Array.from({ length: 1_000 }, (_, index) => crc32c(encodeBloom([numberKey(index), numberKey(7 * index + 1)], 2)));
  expect(new Set(sums).size).toBe(1_000);
});

it('a cache of filters keeps to its bytes, loads once for all who ask, and forgets failures', async () => {
  const cache = new BloomCache(1_000);
  let loads = 0;
  const load = async (): Promise<SegmentFilter> => {
    loads += 1;
    return filterOf(Array.from({ length: 40 }, (_, index) => numberKey(index)));
  };
  const [first, second] = await Promise.all([cache.get('a', load), cache.get('a', load)]);
  expect([first === second, loads]).toEqual([true, 1]);
  await cache.get('b', load);
  expect(await cache.get('a', load)).toBe(first);
  await cache.get('c', load);
  expect(['a', 'b', 'c'].map((name) => cache.peek(name) !== undefined)).toEqual([true, false, true]);
  expect(cache.bytes).toBe(2 * (100 + 256));
  await expect(cache.get('d', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await cache.get('d', load);
  expect(loads).toBe(4);
  cache.delete('d');
  cache.delete('d');
  expect(cache.peek('d')).toBeUndefined();
  const large = await cache.get('large', async () => filterOf(Array.from({ length: 1_000 }, (_, index) => numberKey(index))));
  expect([large.bytes, cache.peek('large')]).toEqual([2_500, undefined]);
  expect(cache.bytes).toBeLessThanOrEqual(1_000);
});
