import type { RowKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { RowVersion } from '../contract.ts';
import { finishSteps } from '../slices/steps.ts';
import { PartitionOverlay } from './overlay.ts';
import { mergeKeys, sortInSteps, sortKeys } from './sorted-keys.ts';

const key = (n: number): RowKey => String.fromCharCode(n) as RowKey;

it('keys that are sorted in steps are as sorted at once', () => {
  const keys = fc.uniqueArray(fc.integer({ min: 0, max: 5000 }), { maxLength: 3000 });
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      const sorted = finishSteps(sortKeys(a.map(key)));
      expect(sorted).toEqual([...a].sort((x, y) => x - y).map(key));
      const both = finishSteps(mergeKeys(sorted, finishSteps(sortKeys(b.map(key)))));
      expect(both).toEqual([...new Set([...a, ...b])].sort((x, y) => x - y).map(key));
    }),
    { numRuns: 30 },
  );
});

it('a list that is sorted in steps is as sorted at once, equal items in their order', () => {
  const items = fc.array(fc.record({ at: fc.nat(50), name: fc.nat() }), { maxLength: 3000 });
  fc.assert(
    fc.property(items, (list) => {
      expect(finishSteps(sortInSteps(list, (a, b) => a.at <= b.at))).toEqual([...list].sort((a, b) => a.at - b.at));
    }),
    { numRuns: 30 },
  );
});

it('gives what a plain list of versions gives, in both orders, while versions come and go and it is tidied', () => {
  const step = fc.record({ id: fc.nat(39), remove: fc.integer({ min: 0, max: 3 }), read: fc.boolean(), tidy: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const overlay = new PartitionOverlay();
      const model: RowVersion[] = [];
      let seq = 0n;
      let tidying = overlay.tidy();
      for (const { id, remove, read, tidy } of steps) {
        if (tidy && tidying.next().done === true) tidying = overlay.tidy();
        const version: RowVersion = { key: key(id), seq: ++seq, createdSeq: seq, deleted: false, cells: [] };
        overlay.add(version);
        model.push(version);
        for (const gone of remove === 3 ? model.splice(0, 2) : model.splice(model.length - 1, remove === 2 ? 1 : 0))
          overlay.remove(gone.key, gone.seq);
        if (!read) continue;
        const watermark = seq - BigInt(id % 5);
        const visible = new Map(model.filter((row) => row.seq <= watermark).map((row) => [row.key, row]));
        const inOrder = [...visible.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
        expect([...overlay.inKeyOrder({}, watermark)]).toEqual(inOrder);
        const range = { from: key(10), before: key(30), reverse: true };
        expect([...overlay.inKeyOrder(range, watermark)]).toEqual(
          inOrder.filter((row) => row.key >= key(10) && row.key < key(30)).reverse(),
        );
        const above = [...visible.values()].filter((row) => row.seq > 5n).sort((a, b) => (a.seq < b.seq ? -1 : 1));
        expect([...overlay.above(5n, watermark)]).toEqual(above);
      }
    }),
  );
});
