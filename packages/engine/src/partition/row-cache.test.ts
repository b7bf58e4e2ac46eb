import type { PartitionId, RowKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChangeSet, RowVersion } from '../contract.ts';
import { RowCache } from './row-cache.ts';

const partitionOf = (owner: number): PartitionId => ({ tableId: 1000 + (owner % 2), owner: `u${owner}` });
const keyOf = (key: number): RowKey => String.fromCharCode(65 + key) as RowKey;

interface Written {
  readonly owner: number;
  readonly key: number;
  readonly version: RowVersion;
}

/** The rows of one partition at one watermark, from the list of everything that was ever written. */
function at(history: readonly Written[], owner: number, watermark: bigint): readonly RowVersion[] {
  const newest = new Map<RowKey, RowVersion>();
  for (const { version } of history.filter((written) => written.owner === owner && written.version.seq <= watermark))
    newest.set(version.key, version);
  return [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      owner: fc.nat(3),
      keys: fc.array(fc.nat(7), { minLength: 1, maxLength: 3 }),
      deleted: fc.boolean(),
      size: fc.nat(300),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fill' as const), owner: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fill-row' as const), owner: fc.nat(3), key: fc.nat(7) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), owner: fc.nat(3), back: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), table: fc.nat(1) }) },
);

describe('the row cache', () => {
  it('gives every snapshot what the history says, or nothing, within its budget', () => {
    let served = 0;
    let evicted = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.integer({ min: 0, max: 40_000 }), (steps, bytesMax) => {
        const cache = new RowCache(bytesMax);
        const history: Written[] = [];
        const watermarks: bigint[] = [0n];
        let seq = 0n;
        const now = (): bigint => watermarks.at(-1) ?? 0n;
        for (const one of steps) {
          if (one.kind === 'write') {
            const rows = [...new Set(one.keys)].map((key) => {
              seq += 1n;
              const version: RowVersion = { key: keyOf(key), seq, createdSeq: seq, deleted: one.deleted, cells: ['x'.repeat(one.size)] };
              history.push({ owner: one.owner, key, version });
              return { ...version, previous: undefined };
            });
            const change: ChangeSet = { seq, parts: [{ partition: partitionOf(one.owner), rows }], bytes: 0 };
            watermarks.push(seq);
            cache.observe(change);
          } else if (one.kind === 'fill') {
            cache.putWhole(partitionOf(one.owner), at(history, one.owner, now()), now());
          } else if (one.kind === 'fill-row') {
            const row = at(history, one.owner, now()).find(({ key }) => key === keyOf(one.key));
            if (row !== undefined) cache.put(partitionOf(one.owner), row, now());
          } else if (one.kind === 'forget') {
            cache.forgetTable(1000 + one.table);
          } else {
            const watermark = watermarks[Math.max(0, watermarks.length - 1 - one.back)] ?? 0n;
            const expected = at(history, one.owner, watermark);
            for (const range of [
              {},
              { from: keyOf(2), before: keyOf(5) },
              { reverse: true },
              { from: keyOf(6) },
              { from: keyOf(5), before: keyOf(2) },
            ]) {
              const found = cache.scan(partitionOf(one.owner), range, watermark);
              if (found === undefined) continue;
              served += 1;
              const inRange = expected.filter(
                ({ key }) => (range.from === undefined || key >= range.from) && (range.before === undefined || key < range.before),
              );
              expect(found.map(({ key, seq: version }) => [key, version])).toEqual(
                (range.reverse === true ? [...inRange].reverse() : inRange).map(({ key, seq: version }) => [key, version]),
              );
            }
            for (let key = 0; key < 8; key++) {
              const found = cache.get(partitionOf(one.owner), keyOf(key), watermark);
              if (found === undefined) continue;
              served += 1;
              const row = expected.find((version) => version.key === keyOf(key));
              expect(found === 'absent' ? undefined : found.seq).toBe(row?.seq);
            }
          }
          expect(cache.status.bytes).toBeLessThanOrEqual(bytesMax);
        }
        evicted += cache.status.evictions;
      }),
      { numRuns: 300 },
    );
    expect(served).toBeGreaterThan(1000);
    expect(evicted).toBeGreaterThan(100);
  });

  it('a scan that was handed out does not change under its reader', () => {
    const cache = new RowCache();
    const row = (key: number, seq: bigint): RowVersion => ({ key: keyOf(key), seq, createdSeq: seq, deleted: false, cells: [seq] });
    cache.putWhole(partitionOf(1), [row(1, 1n), row(3, 2n)], 2n);
    const before = cache.scan(partitionOf(1), {}, 2n);
    const changes: ChangeSet = {
      seq: 5n,
      parts: [
        { partition: partitionOf(1), rows: [row(1, 3n), row(2, 4n), row(4, 5n)].map((version) => ({ ...version, previous: undefined })) },
      ],
      bytes: 0,
    };
    cache.observe(changes);
    expect(before?.map(({ seq }) => seq)).toEqual([1n, 2n]);
    expect(cache.scan(partitionOf(1), {}, 5n)?.map(({ seq }) => seq)).toEqual([3n, 4n, 2n, 5n]);
  });
});
