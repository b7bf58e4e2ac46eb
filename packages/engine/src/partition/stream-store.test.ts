import { encodeKeyCells, plainType, rowCodec } from '@kalamdb/protocol';
import type { PartitionId, RowKey } from '@kalamdb/storage';
import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RowChange } from '../contract.ts';
import type { RowLayout } from './row-layout.ts';
import { StreamStore } from './stream-store.ts';

const ROW_BYTES = 1000;
const BYTES_MAX = 20_000;
const EVENTS_MAX = 8;
const TTL_SECONDS = 10;
const LAYOUT: RowLayout = {
  id: 1000,
  kind: 'stream',
  options: { ttlSeconds: TTL_SECONDS, maxBuffer: EVENTS_MAX },
  sinceSeq: 0n,
  codec: rowCodec(1, [{ id: 1, type: plainType('int') }]),
  keyOf: (cells) => encodeKeyCells([Number(cells[0])], [plainType('int')]) as RowKey,
};

const partitionOf = (owner: number): PartitionId => ({ tableId: LAYOUT.id, owner: `u${owner}` });

function write(store: StreamStore, owner: number, event: { id: number; seq: bigint; deleted: boolean }): void {
  const key = LAYOUT.keyOf([event.id], 0n);
  const { seq, deleted } = event;
  const row: RowChange = { key, seq, createdSeq: seq, deleted, cells: [event.id], previous: undefined };
  store.apply({ layout: LAYOUT, part: { partition: partitionOf(owner), rows: [row] }, rowBytes: [ROW_BYTES] });
}

const seen = (store: StreamStore, owner: number): readonly bigint[] =>
  [...store.view(partitionOf(owner), 1n << 62n).scanBySeq(0n)].map(({ seq }) => seq);

it('an event that is gone, by whatever bound, is below the horizon; none that is above it is missing', () => {
  const step = fc.record({
    owner: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5 })),
    id: fc.integer({ min: 0, max: 20 }),
    deleted: fc.boolean(),
    advanceMillis: fc.constantFrom(0, 0, 0, 0, 0, 100, 1000),
    jumpMillis: fc.constantFrom(0, 0, 0, 0, 3_600_000, -3_600_000),
    evict: fc.boolean(),
  });
  const reached = { age: 0, number: 0, bytes: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 60, maxLength: 160 }), (steps) => {
      const time = new VirtualTime();
      const store = new StreamStore(time, 5n, BYTES_MAX);
      const model = new Map<number, Map<number, { seq: bigint; atMillis: number }>>();
      let seq = 10n;
      for (const { owner, id, deleted, advanceMillis, jumpMillis, evict } of steps) {
        seq += 1n;
        write(store, owner, { id, seq, deleted });
        const events = model.get(owner) ?? new Map<number, { seq: bigint; atMillis: number }>();
        model.set(owner, events);
        events.delete(id);
        if (!deleted) events.set(id, { seq, atMillis: time.elapsed() });
        time.advance(advanceMillis);
        time.jump(jumpMillis);
        if (evict) store.evictExpired();
        expect(store.bytes).toBeLessThanOrEqual(BYTES_MAX);
        for (const [reader, expected] of model) {
          const present = seen(store, reader);
          expect(present.length).toBeLessThanOrEqual(EVENTS_MAX);
          const fresh = [...expected.values()].filter(({ atMillis }) => atMillis + TTL_SECONDS * 1000 > time.elapsed());
          if (fresh.length < expected.size) reached.age += 1;
          const missing = fresh.filter((event) => !present.includes(event.seq));
          if (missing.length > 0) reached[expected.size > EVENTS_MAX ? 'number' : 'bytes'] += 1;
          expect(present.filter((found) => !fresh.some((event) => event.seq === found))).toEqual([]);
          const horizon = store.horizon(partitionOf(reader));
          const gone = [...expected.values()].filter((event) => !present.includes(event.seq));
          for (const event of gone) expect(event.seq <= horizon).toBe(true);
          expect(seen(store, reader)).toEqual(present);
        }
      }
    }),
    { numRuns: 40 },
  );
  expect(Object.values(reached).every((count) => count > 0)).toBe(true);
});

it('takes from the partition that holds most', () => {
  const store = new StreamStore(new VirtualTime(), 0n, BYTES_MAX);
  write(store, 0, { id: 0, seq: 1n, deleted: false });
  for (let owner = 1; owner <= 4; owner++) {
    for (let id = 0; id < 6; id++) write(store, owner, { id, seq: BigInt(owner * 100 + id), deleted: false });
  }
  expect(seen(store, 0)).toEqual([1n]);
  expect(store.horizon(partitionOf(0))).toBe(0n);
});

it('gives its memory back when a table is dropped', () => {
  const store = new StreamStore(new VirtualTime(), 0n, BYTES_MAX);
  for (let id = 0; id < 5; id++) write(store, id, { id, seq: BigInt(id + 1), deleted: false });
  store.drop(LAYOUT.id);
  expect([store.bytes, seen(store, 1)]).toEqual([0, []]);
});
