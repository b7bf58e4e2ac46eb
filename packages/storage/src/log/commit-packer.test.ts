import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PartitionId, RowKey, StoredRow } from '../contract.ts';
import { encodeCommit } from './commit-codec.ts';
import { CommitPacker } from './commit-packer.ts';

const rows: fc.Arbitrary<StoredRow> = fc
  .record({
    key: fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)), maxLength: 20 }),
    seq: fc.bigInt({ min: 1n, max: (1n << 63n) - 1n }),
    isFirst: fc.boolean(),
    deleted: fc.boolean(),
    bytes: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(new Uint8Array(700_000).fill(7))),
    masks: fc.option(fc.record({ segment: fc.nat(), row: fc.nat(), deleted: fc.boolean() }), { nil: undefined }),
  })
  .map(({ key, isFirst, ...row }) => ({ ...row, key: key as RowKey, createdSeq: isFirst ? row.seq : 1n }));
const parts = fc.array(
  fc.record({
    partition: fc.record({ tableId: fc.nat(), owner: fc.string({ unit: 'grapheme', maxLength: 5 }) }),
    rows: fc.array(rows, { minLength: 1, maxLength: 5 }),
  }),
  { maxLength: 4 },
);

it('packs rows into the bytes that the codec makes of them, one commit after another', () => {
  const packer = new CommitPacker();
  fc.assert(
    fc.property(parts, fc.bigInt({ min: 1n, max: (1n << 63n) - 1n }), (given, seq) => {
      for (const { partition, rows: of } of given) {
        const own: PartitionId = { ...partition };
        for (const row of of) packer.add(own, row);
      }
      expect(packer.rows).toBe(given.reduce((sum, part) => sum + part.rows.length, 0));
      const commit = { seq, parts: given.map((part) => ({ ...part, rows: part.rows.map((row) => ({ ...row, replacedSeq: 0n })) })) };
      const packed = packer.finish(seq);
      expect(Buffer.compare(packed, encodeCommit(commit))).toBe(0);
      expect(packed.buffer.byteLength).toBe(packed.byteLength);
    }),
    { numRuns: 60 },
  );
});
