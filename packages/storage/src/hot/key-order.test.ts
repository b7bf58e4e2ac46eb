import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyOrder, type PlacedKeys } from './key-order.ts';

/** Keys as they lie in two blocks, each behind what does not belong to it. */
const placed = (keys: readonly Uint8Array[]): PlacedKeys => {
  const blocks: [Buffer[], Buffer[]] = [[], []];
  const lengths: [number, number] = [0, 0];
  const [places, starts]: [number[], number[]] = [[], []];
  for (const [index, key] of keys.entries()) {
    const block = index % 2 === 0 ? 0 : 1;
    blocks[block].push(Buffer.of(0x77), Buffer.from(key));
    places.push(block, 0);
    starts.push(lengths[block] + 1, key.length);
    lengths[block] += 1 + key.length;
  }
  return { blocks: blocks.map((parts) => Buffer.concat(parts)), places: Int32Array.from(places), keys: Int32Array.from(starts) };
};

const expectSorted = (keys: readonly Uint8Array[]): void => {
  const rows = Int32Array.from(keys.keys());
  new KeyOrder(placed(keys)).sort(rows);
  const expected = [...keys.keys()].sort((a, b) => Buffer.compare(keys[a] ?? Buffer.of(), keys[b] ?? Buffer.of()) || a - b);
  expect([...rows]).toEqual(expected);
};

const byte = fc.oneof(fc.constantFrom(0, 1, 255), fc.nat(255));
const head = fc.constantFrom('', 'a', 'a\0', 'a\0\0', 'a\0\0\0', 'abc', 'abcd', 'abcdefgh');
const key = fc.tuple(head, fc.array(byte, { maxLength: 9 })).map(([text, rest]) => Buffer.concat([Buffer.from(text), Buffer.from(rest)]));

describe('rows in the order of their keys', () => {
  it('are sorted by bytes, shorter first, those of one key as they came', () => {
    fc.assert(fc.property(fc.array(key, { maxLength: 200 }), expectSorted));
  });

  it('are sorted when many keys begin alike, and when many rows have one key', () => {
    const few = fc.array(fc.constantFrom(0, 1), { maxLength: 14 }).map((bytes) => Uint8Array.from([7, ...bytes]));
    fc.assert(fc.property(fc.array(few, { minLength: 100, maxLength: 400 }), expectSorted));
  });

  it('are sorted one after another with the same memory', () => {
    const keys = Array.from({ length: 100 }, (_, index) => Buffer.from(String(99 - index)));
    const order = new KeyOrder(placed(keys));
    const [many, some] = [Int32Array.from(keys.keys()), Int32Array.from({ length: 40 }, (_, index) => index)];
    order.sort(many);
    order.sort(some);
    expect([...some]).toEqual([...some].sort((a, b) => (String(99 - a) < String(99 - b) ? -1 : 1)));
    expect(many).toHaveLength(100);
  });
});
