import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cell, cellFromJson, compareCells, type DataType, type JsonValue, type NonNullCell, plainType } from '@kalamdb/protocol';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anyType, cellOf, nullableCellOf } from '../../../protocol/src/values/cell.arbitrary.ts';
import type { RowKey } from '../contract.ts';
import { FaultyFiles } from '../files/faulty-files.fake.ts';
import { type FileSystem, systemFiles } from '../files/file-system.ts';
import { decodeBloom } from './bloom-filter.ts';
import type { ColdRow, ColumnStats, Segment, SegmentLayout, SegmentRow, SegmentScan } from './contract.ts';
import { mayHoldKeys, mayHoldRange } from './pruning.ts';
import { rowPositions } from './row-positions.ts';
import { rowsOf, SegmentWorld } from './segment-world.fake.ts';
import { SegmentWriter } from './segment-writer.ts';

let world: SegmentWorld;
beforeAll(async () => {
  world = await SegmentWorld.open();
});
afterAll(() => world.close());

const names = ['id', 'name', 'file_row_number', 'filename', 'c0', 'Amount', 'select', 'x"y'];

/** Any layout with rows for it: one key column, two, or none. */
const anyContent = fc
  .record({ types: fc.array(anyType, { minLength: 1, maxLength: 6 }), keys: fc.integer({ min: 0, max: 2 }) })
  .chain(({ types, keys }) => {
    const keyIndexes = types.map((_, index) => types.length - 1 - index).slice(0, keys);
    const columns = types.map((type, index) => ({ id: 10 + index, name: names[index] ?? '', type }));
    const layout: SegmentLayout = { schemaVersion: 3, columns, keyIndexes };
    const cells = fc.tuple(...types.map((type, index) => (keyIndexes.includes(index) ? cellOf(type) : nullableCellOf(type))));
    return fc.record({
      layout: fc.constant(layout),
      rows: fc.array(cells, { minLength: 1, maxLength: 40 }).map((all) => rowsOf(layout, all)),
    });
  });

const plain = (type: DataType, cell: Cell): unknown =>
  cell instanceof Float32Array || cell instanceof Uint8Array ? [...cell] : [type.kind, cell];
const shown = ({ columns }: SegmentLayout, { key, seq, createdSeq, deleted, cells }: SegmentRow): unknown => ({
  key,
  seq,
  createdSeq,
  deleted,
  cells: columns.map(({ type }, index) => plain(type, cells[index] ?? null)),
});

describe('a segment', () => {
  it('gives back the rows of every type as they were written', async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, async ({ layout, rows }) => {
        const { segment, keys } = await world.write(layout, rows);
        const found = await world.scan(segment, layout);
        expect(found.map((row) => shown(layout, row))).toEqual(rows.map((row) => shown(layout, row)));
        expect(found.map(({ position }) => position)).toEqual(rows.map((_, row) => ({ segment: segment.number, row })));
        expect([...keys]).toEqual(rows.map(({ key }) => key));
      }),
      { numRuns: 60 },
    );
  });

  it('is told by its description as it is', async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, async ({ layout, rows }) => {
        const { segment, path, bloomPath } = await world.write(layout, rows);
        const seqs = rows.map(({ seq }) => seq).sort((a, b) => (a < b ? -1 : 1));
        const file = await readFile(path);
        expect(segment).toMatchObject({
          schemaVersion: 3,
          rows: rows.length,
          tombstones: rows.filter(({ deleted }) => deleted).length,
          bytes: file.length,
          checksum: crc32c(file),
          minSeq: seqs[0],
          maxSeq: seqs.at(-1),
          minKey: rows[0]?.key,
          maxKey: rows.at(-1)?.key,
        });
        const bloom = await readFile(bloomPath);
        expect(segment.bloom).toMatchObject({ bytes: bloom.length, checksum: crc32c(bloom) });
        const filter = decodeBloom(bloom, 'the filter');
        for (const { key } of rows) expect(filter.mayHold(key)).toBe(true);
        for (const [index, { id, type }] of layout.columns.entries()) {
          const cells = rows.flatMap(({ cells }) => cells[index] ?? []);
          expect(segment.stats.get(id)?.nulls).toBe(rows.length - cells.length);
          checkBounds(segment.stats.get(id), cells as NonNullCell[], type);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is found by its keys, and other keys are not', async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, anyContent, fc.array(fc.nat(39)), async ({ layout, rows }, other, masks) => {
        const { segment: whole } = await world.write(layout, rows);
        const segment = masked(whole, rows, masks);
        const wanted = [...rows.filter((_, index) => index % 2 === 0), ...other.rows].map(({ key }) => key);
        const found = await world.reader.lookup(world.file(segment), segment, layout, wanted);
        const expected = rows.filter(({ key }, row) => wanted.includes(key) && !segment.masked.has(row));
        expect(found.map((row) => shown(layout, row))).toEqual(expected.map((row) => shown(layout, row)));
        if (expected.length > 0) expect(mayHoldKeys(segment, wanted)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('is scanned by key and by seq, in parts, without masked rows', async () => {
    const scans = fc.record({
      from: fc.option(fc.record({ row: fc.nat(40), cut: fc.nat(6), tail: fc.constantFrom('', '\0', '\u00ff', 'a') })),
      before: fc.option(fc.record({ row: fc.nat(40), cut: fc.nat(6), tail: fc.constantFrom('', '\0', '\u00ff', 'a') })),
      reverse: fc.boolean(),
      afterSeq: fc.option(fc.bigInt({ min: 990n, max: 1040n })),
      order: fc.constantFrom(undefined, 'key' as const, 'seq' as const),
      columns: fc.option(fc.array(fc.nat(5))),
      masks: fc.array(fc.nat(39)),
    });
    await fc.assert(
      fc.asyncProperty(anyContent, scans, async ({ layout, rows }, { from, before, reverse, afterSeq, order, columns, masks }) => {
        const { segment: whole } = await world.write(layout, rows);
        const segment = masked(whole, rows, masks);
        const bound = (at: typeof from): RowKey | undefined => {
          const key = at === null ? undefined : rows[at.row % rows.length]?.key;
          return at === null || key === undefined ? undefined : (`${key.slice(0, key.length - at.cut)}${at.tail}` as RowKey);
        };
        const range = { from: bound(from), before: bound(before), reverse };
        const read = columns === null ? undefined : columns.filter((index) => index < layout.columns.length);
        const scan: SegmentScan = { keys: range, afterSeq: afterSeq ?? undefined, order, columns: read };
        const found = await world.scan(segment, layout, scan);
        const expected = rows
          .filter(
            ({ key, seq }) =>
              (range.from === undefined || key >= range.from) &&
              (range.before === undefined || key < range.before) &&
              seq > (afterSeq ?? 0n),
          )
          .filter((row) => !segment.masked.has(rows.indexOf(row)));
        if (order === 'seq') expected.sort((a, b) => Number(a.seq - b.seq));
        if (reverse) expected.reverse();
        const projected = expected.map((row) => ({
          ...row,
          cells: row.cells.map((cell, index) =>
            read === undefined || read.includes(index) || layout.keyIndexes.includes(index) ? cell : null,
          ),
        }));
        expect(found.map((row) => shown(layout, row))).toEqual(projected.map((row) => shown(layout, row)));
        if (expected.length > 0) expect(mayHoldRange(segment, range)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

const counted: SegmentLayout = {
  schemaVersion: 1,
  keyIndexes: [0],
  columns: [
    { id: 1, name: 'id', type: plainType('bigint') },
    { id: 2, name: 'name', type: plainType('text') },
  ],
};
const manyRows = (count: number): SegmentRow[] =>
  rowsOf(
    counted,
    Array.from({ length: count }, (_, index) => [BigInt(index), `the name of ${index}`]),
  );

describe('a large segment', () => {
  it('has row groups, and its rows keep their order and places through them', async () => {
    const rows = manyRows(20_000);
    const { segment } = await world.write(counted, rows);
    const found = await world.scan(segment, counted);
    expect(found.map(({ position }) => position.row)).toEqual(rows.map((_, row) => row));
    expect(found.map(({ key }) => key)).toEqual(rows.map(({ key }) => key));
    const wanted = rows.filter((_, index) => index % 9 === 0).map(({ key }) => key);
    const looked = await world.reader.lookup(world.file(segment), segment, counted, wanted);
    expect(looked.map(({ position }) => position.row)).toEqual(wanted.map((_, index) => index * 9));
  });

  it('can be left in the middle of a scan, also while a batch is on its way', async () => {
    const { segment } = await world.write(counted, manyRows(20_000));
    const scan = world.reader.scan(world.file(segment), segment, counted, { order: 'seq' });
    const first = scan.next();
    await scan.return?.();
    expect(['QUERY_INTERRUPTED', undefined]).toContain(
      await first.then(
        () => undefined,
        (error) => error.code,
      ),
    );
    expect(await scan.next()).toEqual({ done: true, value: undefined });
    const batches: ColdRow[][] = [];
    for await (const batch of world.reader.scan(world.file(segment), segment, counted)) {
      batches.push(batch);
      if (batches.length === 2) break;
    }
    expect(batches.map((batch) => batch.length)).toEqual([2048, 2048]);
  });
});

describe('writing', () => {
  const open = (files: FileSystem = systemFiles, directory = world.directory): Promise<SegmentWriter> =>
    SegmentWriter.open(world.db, { files, directory, number: 900, layout: counted, createdAtMillis: 0 });

  it('refuses keys that are not in order, and no rows at all', async () => {
    const writer = await open();
    const [first, second] = manyRows(2) as [SegmentRow, SegmentRow];
    expect(() => writer.add([second, first])).toThrow(expect.objectContaining({ code: 'INTERNAL_ERROR' }));
    await writer.discard();
    const empty = await open();
    await expect(empty.finish()).rejects.toMatchObject({ code: 'INTERNAL_ERROR' });
  });

  it('fails with one error wherever the disk fails, and leaves nothing when it is discarded', async () => {
    for (const kind of ['refused', 'done but reported failed', 'short'] as const) {
      let failures = 0;
      for (let first = 0; first < 12; first += 1) {
        const faulty = new FaultyFiles(systemFiles);
        faulty.fault = { first, count: 1, kind };
        const writer = await open(faulty.files);
        writer.add(manyRows(10));
        const written = await writer.finish().catch((error) => {
          expect(error).toMatchObject({ code: 'SEGMENT_WRITE_FAILED' });
          failures += 1;
        });
        if (written !== undefined) {
          expect(written.segment.checksum).toBe(crc32c(await readFile(written.path)));
          expect(written.segment.bloom.checksum).toBe(crc32c(await readFile(written.bloomPath)));
        }
        faulty.fault = undefined;
        await writer.discard();
        expect((await systemFiles.list(world.directory)).filter((name) => name.startsWith('batch-900.'))).toEqual([]);
      }
      expect(failures).toBeGreaterThan(kind === 'short' ? 0 : 3);
    }
  });

  it('fails with that error when the folder is not there, or DuckDB may not reach it', async () => {
    for (const directory of [join(world.directory, 'missing'), '/']) {
      const writer = await open(systemFiles, directory);
      writer.add(manyRows(1));
      await expect(writer.finish()).rejects.toMatchObject({ code: 'SEGMENT_WRITE_FAILED' });
    }
  });
});

function masked(segment: Segment, rows: readonly SegmentRow[], masks: readonly number[]): Segment {
  return { ...segment, masked: rowPositions(masks.filter((row) => row < rows.length)) };
}

/** A bound may be missing, but only where the cells say why; it is one of the cells and no cell lies outside. */
function checkBounds(stats: ColumnStats | undefined, cells: readonly NonNullCell[], type: DataType): void {
  const compare = compareCells(type);
  const sorted = [...cells].sort(compare);
  const unordered = ['json', 'file', 'bytes', 'embedding'].includes(type.kind);
  for (const [bound, cell] of [
    [stats?.min, sorted[0]],
    [stats?.max, sorted.at(-1)],
  ] as const) {
    const absent = cell === undefined || unordered || (typeof cell === 'string' && cell.length > 64);
    if (absent) expect(bound).toBeUndefined();
    else expect(compare(cellFromJson(bound as JsonValue, type) as NonNullCell, cell)).toBe(0);
  }
}
