import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RowKey } from '../contract.ts';
import { KeyPacker, PackedKeys } from './packed-keys.ts';

const anyKey = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) }).map((text) => text as RowKey);
const packed = (keys: Iterable<RowKey>): PackedKeys => {
  const packer = new KeyPacker();
  for (const key of keys) packer.add(key);
  return packer.finish();
};

it('finds the row of each key and of no other, also after its buffers went to another thread', () => {
  fc.assert(
    fc.property(fc.array(anyKey), fc.array(anyKey), (some, others) => {
      const keys = [...new Set(some)].sort();
      const { image } = packed(keys);
      const moved = structuredClone(image, { transfer: [image.bytes.buffer, image.ends.buffer] });
      const found = new PackedKeys(moved);
      expect(found.length).toBe(keys.length);
      expect([...found]).toEqual(keys);
      for (const [row, key] of keys.entries()) expect(found.rowOf(key)).toBe(row);
      for (const key of others) expect(found.rowOf(key)).toBe(keys.includes(key) ? keys.indexOf(key) : undefined);
    }),
  );
});

it('grows with many keys, and takes none out of order', () => {
  const keys = Array.from({ length: 20_000 }, (_, index) => `the key ${String(index).padStart(8, '0')}` as RowKey);
  expect([...packed(keys)]).toEqual(keys);
  expect(() => packed(['b' as RowKey, 'b' as RowKey])).toThrow(expect.objectContaining({ code: 'INTERNAL_ERROR' }));
});
