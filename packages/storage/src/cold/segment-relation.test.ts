import { type Cell, compareText, type DataType, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { anyType, nullableCellOf } from '../../../protocol/src/values/cell.arbitrary.ts';
import { vectorCells } from '../columns/vector-cells.ts';
import type { SegmentLayout } from './contract.ts';
import { rowPositions } from './row-positions.ts';
import { type RelationColumn, type RelationSegment, segmentRelation } from './segment-relation.ts';
import { rowsOf, SegmentWorld } from './segment-world.fake.ts';

let world: SegmentWorld;
beforeAll(async () => {
  world = await SegmentWorld.open();
});
afterAll(() => world.close());

const bigint = plainType('bigint');
const typeOf = (column: RelationColumn): DataType =>
  'system' in column ? plainType(column.system === '_deleted' ? 'boolean' : 'bigint') : column.type;

/** The rows of a relation as texts, in the order of the first column. */
async function read(relation: string, columns: readonly RelationColumn[], tail = ''): Promise<unknown[][]> {
  const connection = await world.db.instance.connect();
  const result = await connection.run(`SELECT * FROM ${relation} AS r ${tail}`);
  const rows: unknown[][] = [];
  for (let chunk = await result.fetchChunk(); chunk !== null && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
    const cells = columns.map((column, index) => vectorCells(world.db.db, chunk.getColumnVector(index), typeOf(column)));
    for (let row = 0; row < chunk.rowCount; row += 1) rows.push(cells.map((cell) => shown(cell(row))));
  }
  expect(result.columnNames()).toEqual(columns.map(({ name }) => name));
  connection.closeSync();
  return sorted(rows);
}

const shown = (cell: Cell): unknown => (typeof cell === 'object' && cell !== null ? cell.join() : Object.is(cell, -0) ? '-0' : cell);
const sorted = (rows: unknown[][]): unknown[][] => rows.sort((a, b) => compareText(String(a[0]), String(b[0])));

async function written(
  layout: SegmentLayout,
  cells: readonly (readonly Cell[])[],
  masked: readonly number[] = [],
): Promise<RelationSegment> {
  const { segment, path } = await world.write(layout, rowsOf(layout, cells));
  return { path, layout, segment: { ...segment, masked: rowPositions(masked) } };
}

it('has the unmasked rows of segments of all versions, by column id, with casts and fill values of any type', async () => {
  const content = anyType.chain((type) =>
    fc.record({
      type: fc.constant(type),
      fill: nullableCellOf(type),
      cells: fc.array(nullableCellOf(type), { minLength: 1, maxLength: 12 }),
      masks: fc.array(fc.nat(11)),
    }),
  );
  await fc.assert(
    fc.asyncProperty(content, async ({ type, fill, cells, masks }) => {
      const instant = type.kind === 'timestamp' || type.kind === 'datetime';
      // Instants that DuckDB cannot name are refused as a fill value.
      const value = instant && typeof fill === 'bigint' && fill < -9_223_372_022_400_000_000n ? 0n : fill;
      const id = { id: 1, name: 'id', type: plainType('int') };
      const old: SegmentLayout = { schemaVersion: 1, keyIndexes: [0], columns: [id] };
      const young: SegmentLayout = { schemaVersion: 2, keyIndexes: [1], columns: [{ id: 4, name: 'value', type }, id] };
      const renamed: SegmentLayout = {
        schemaVersion: 3,
        keyIndexes: [1],
        columns: [
          { id: 4, name: 'id', type },
          { ...id, name: 'value' },
        ],
      };
      const masked = [...new Set(masks)].filter((row) => row < cells.length);
      const segments = [
        await written(old, [[1], [2]]),
        await written(old, [[3]]),
        await written(
          young,
          cells.map((cell, index) => [cell, 100 + index]),
          masked,
        ),
        await written(
          renamed,
          cells.map((cell, index) => [cell, 200 + index]),
        ),
      ];
      const columns: RelationColumn[] = [
        { name: 'new "name"', id: 1, type: bigint },
        { name: 'v', id: 4, type, fill: value },
        { name: 'gone', id: 9, type: bigint },
        { name: 'seq', system: '_seq' },
      ];
      const expected = [
        ...[1n, 2n, 3n].map((key) => [key, shown(value), null, 1000n + (key === 2n ? 1n : 0n)]),
        ...cells.flatMap((cell, index) =>
          masked.includes(index) ? [] : [[100n + BigInt(index), shown(cell), null, 1000n + BigInt(index)]],
        ),
        ...cells.map((cell, index) => [200n + BigInt(index), shown(cell), null, 1000n + BigInt(index)]),
      ];
      expect(await read(segmentRelation(segments, columns), columns)).toEqual(sorted(expected));
    }),
    { numRuns: 40 },
  );
});

it('gives places, and leaves out tombstones, old rows and many masked ones', async () => {
  const layout: SegmentLayout = { schemaVersion: 1, keyIndexes: [0], columns: [{ id: 1, name: 'id', type: bigint }] };
  const masked = Array.from({ length: 1_000 }, (_, index) => index * 2);
  const one = await written(
    layout,
    Array.from({ length: 3_000 }, (_, index) => [BigInt(index)]),
    masked,
  );
  const two = await written(layout, [[5_000n]]);
  const columns: RelationColumn[] = [
    { name: 'id', id: 1, type: bigint },
    { name: 'segment', system: 'segment' },
    { name: 'row', system: 'row' },
  ];
  const all = Array.from({ length: 3_000 }, (_, row) => row).filter((row) => row >= 2_000 || row % 2 === 1);
  const expected = (rows: readonly number[]): unknown[][] =>
    sorted([...rows.map((row) => [BigInt(row), BigInt(one.segment.number), BigInt(row)]), [5_000n, BigInt(two.segment.number), 0n]]);
  expect(await read(segmentRelation([one, two], columns), columns)).toEqual(expected(all));
  const live = all.filter((row) => (1000 + row) % 7 !== 0);
  expect(await read(segmentRelation([one, two], columns, { liveOnly: true }), columns)).toEqual(expected(live));
  const late = { ...two, segment: two.segment };
  expect(await read(segmentRelation([one], columns, { afterSeq: 3_000n }), columns)).toEqual(
    sorted(all.filter((row) => row > 2_000).map((row) => [BigInt(row), BigInt(one.segment.number), BigInt(row)])),
  );
  expect(await read(segmentRelation([late], columns), columns, 'WHERE id > 5000')).toEqual([]);
  expect(await read(segmentRelation([], columns), columns)).toEqual([]);
});

it('leaves masked rows of several segments out, few or many, whatever of them is read', async () => {
  const layout: SegmentLayout = { schemaVersion: 1, keyIndexes: [0], columns: [{ id: 1, name: 'id', type: bigint }] };
  const columns: RelationColumn[] = [{ name: 'id', id: 1, type: bigint }];
  const sizes = [3_000, 7, 2_500, 1_000];
  const starts = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size, 0));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 2, max: 2_000 }), { minLength: 4, maxLength: 4 }), fc.nat(6_506), async (steps, from) => {
      const isMasked = (file: number, row: number): boolean => row % (steps[file] ?? 1) === 1;
      const segments: RelationSegment[] = [];
      const expected: unknown[][] = [];
      for (const [file, size] of sizes.entries()) {
        const rows = Array.from({ length: size }, (_, row) => row);
        const cells = rows.map((row) => [BigInt((starts[file] ?? 0) + row)]);
        segments.push(await written(layout, cells, file === 1 ? [] : rows.filter((row) => isMasked(file, row))));
        for (const [row, found] of cells.entries()) if (file === 1 || !isMasked(file, row)) expected.push(found);
      }
      expect(await read(segmentRelation(segments, columns), columns)).toEqual(sorted(expected));
      const late = expected.filter(([id]) => Number(id) >= from);
      expect(await read(segmentRelation(segments, columns), columns, `WHERE id >= ${from}`)).toEqual(sorted(late));
    }),
    { numRuns: 8 },
  );
});

it('names nothing but its files, whatever columns and folders are called', async () => {
  const name = `x"; DROP TABLE "y'`;
  const layout: SegmentLayout = { schemaVersion: 1, keyIndexes: [0], columns: [{ id: 1, name, type: plainType('text') }] };
  const one = await written(layout, [[`'; SELECT 1 --\0"`]]);
  const columns: RelationColumn[] = [
    { name, id: 1, type: plainType('text') },
    { name: 'added', id: 2, type: plainType('text'), fill: `'); --\0` },
  ];
  expect(await read(segmentRelation([one], columns), columns)).toEqual([[`'; SELECT 1 --\0"`, `'); --\0`]]);
  const connection = await world.db.instance.connect();
  await expect(connection.run(`SELECT * FROM ${segmentRelation([{ ...one, path: `/etc/passwd' || '` }], columns)}`)).rejects.toThrow(
    /Permission Error/,
  );
  connection.closeSync();
});
