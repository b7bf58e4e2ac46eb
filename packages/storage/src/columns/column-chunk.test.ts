import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api';
import { type Cell, compareCells, type DataType, duckdbType, type Row, RowSpans, rowCodec } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { anyType, nullableCellOf } from '../../../protocol/src/values/cell.arbitrary.ts';
import { cellPutter } from './cell-putter.fake.ts';
import { columnBuffer } from './column-buffer.ts';
import { ChunkAppender, type DuckDbModules, loadVectorBindings } from './column-chunk.ts';
import { loadDuckDb } from './duckdb.ts';

let modules: DuckDbModules;
let connection: DuckDBConnection;

beforeAll(async () => {
  modules = { db: await loadDuckDb(), bindings: await loadVectorBindings() };
  connection = await (await modules.db.DuckDBInstance.create(':memory:')).connect();
});

afterAll(() => connection.closeSync());

interface GivenTable {
  readonly types: readonly DataType[];
  readonly rows: readonly Row[];
}

const anyTable = (rowsMax: number): fc.Arbitrary<GivenTable> =>
  fc.array(anyType, { minLength: 1, maxLength: 5 }).chain((types) =>
    fc.record({
      types: fc.constant(types),
      rows: fc.array(fc.tuple(...types.map(nullableCellOf)), { minLength: 1, maxLength: rowsMax }),
    }),
  );

/** The rows of a table that was filled by `fill`, as DuckDB has them. */
async function held(types: readonly DataType[], fill: (chunk: ChunkAppender) => void): Promise<DuckDBValue[][]> {
  const columns = types.map((type, index) => `c${index} ${duckdbType(type)}`);
  await connection.run(`CREATE OR REPLACE TEMP TABLE t (${columns.join(', ')})`);
  const appender = await connection.createAppender('t', null, 'temp');
  const chunk = new ChunkAppender(modules, appender, types);
  fill(chunk);
  chunk.flush();
  appender.closeSync();
  return (await connection.runAndReadAll('SELECT * FROM t')).getRows();
}

function putCells(chunk: ChunkAppender, row: Row): void {
  for (const [index, cell] of row.entries()) {
    if (cell === null) chunk.columns[index]?.putNull(chunk.rows);
    else chunk.columns[index]?.putCell(chunk.rows, cell);
  }
}

function* encoded({ types, rows }: GivenTable): Iterable<Uint8Array> {
  const codec = rowCodec(
    1,
    types.map((type, id) => ({ id, type })),
  );
  for (const row of rows) yield codec.encode(row);
}

function rawPutter(types: readonly DataType[], chosen: readonly number[]): (chunk: ChunkAppender, bytes: Uint8Array) => void {
  const spans = new RowSpans(
    1,
    types.map((type, id) => ({ id, type })),
    chosen,
  );
  return (chunk, bytes) => {
    spans.find(bytes);
    for (const [index, column] of chunk.columns.entries()) {
      const start = spans.starts[index] ?? -1;
      if (start < 0) column.putNull(chunk.rows);
      else column.putRaw(chunk.rows, bytes, start, spans.ends[index] ?? 0);
    }
  };
}

/** The rows as DuckDB's own classes put them into vectors. */
async function expected({ types, rows }: GivenTable): Promise<DuckDBValue[][]> {
  const { db } = modules;
  const columns = types.map((type, index) => `c${index} ${duckdbType(type)}`);
  await connection.run(`CREATE OR REPLACE TEMP TABLE e (${columns.join(', ')})`);
  const appender = await connection.createAppender('e', null, 'temp');
  const chunk = db.DuckDBDataChunk.create(
    types.map((_, index) => appender.columnType(index)),
    rows.length,
  );
  for (const [index, type] of types.entries()) {
    const vector = chunk.getColumnVector(index);
    const put = cellPutter(db, type);
    for (const [at, row] of rows.entries()) {
      const cell: Cell = row[index] ?? null;
      if (cell === null) vector.setItem(at, null);
      else put(vector, at, cell);
    }
    vector.flush();
  }
  chunk.rowCount = rows.length;
  appender.appendDataChunk(chunk);
  appender.closeSync();
  return (await connection.runAndReadAll('SELECT * FROM e')).getRows();
}

test('cells of every type, given as they are or as they are stored, are held as those that DuckDB puts there itself', async () => {
  await fc.assert(
    fc.asyncProperty(anyTable(20), async (table) => {
      const want = await expected(table);
      const { types, rows } = table;
      const cells = await held(types, (chunk) => {
        for (const row of rows) {
          putCells(chunk, row);
          if (chunk.added()) chunk.flush();
        }
      });
      expect(cells).toEqual(want);
      const put = rawPutter(types, [...types.keys()]);
      const raw = await held(types, (chunk) => {
        for (const bytes of encoded(table)) {
          put(chunk, bytes);
          if (chunk.added()) chunk.flush();
        }
      });
      expect(raw).toEqual(want);
    }),
    { numRuns: 150 },
  );
});

test('of stored rows any columns may be taken, in any order, and a row that is put twice counts once', async () => {
  const chosenOf = (table: GivenTable): fc.Arbitrary<{ table: GivenTable; chosen: number[]; again: number[] }> =>
    fc.record({
      table: fc.constant(table),
      chosen: fc.shuffledSubarray([...table.types.keys()], { minLength: 1 }),
      again: fc.array(fc.nat(table.rows.length - 1), { maxLength: 10 }),
    });
  await fc.assert(
    fc.asyncProperty(anyTable(10).chain(chosenOf), async ({ table, chosen, again }) => {
      const types = chosen.flatMap((index) => table.types[index] ?? []);
      const rows = table.rows.map((row) => chosen.map((index) => row[index] ?? null));
      const put = rawPutter(table.types, chosen);
      const stored = [...encoded(table)];
      const found = await held(types, (chunk) => {
        for (const [index, bytes] of stored.entries()) {
          const other = stored[again[index] ?? -1];
          if (other !== undefined) put(chunk, other);
          put(chunk, bytes);
          if (chunk.added()) chunk.flush();
        }
      });
      expect(found).toEqual(await expected({ types, rows }));
    }),
    { numRuns: 100 },
  );
});

test('more rows and longer texts than one chunk takes arrive whole', async () => {
  const types: readonly DataType[] = [{ kind: 'int' }, { kind: 'text' }];
  const text = (index: number): string => 'é'.repeat(index % 5000);
  const found = await held(types, (chunk) => {
    for (let index = 0; index < 5000; index += 1) {
      putCells(chunk, [index, index % 7 === 0 ? null : text(index)]);
      if (chunk.added()) chunk.flush();
    }
    expect(chunk.bytes).toBeGreaterThan(10_000_000);
  });
  expect(found).toEqual(Array.from({ length: 5000 }, (_, index) => [index, index % 7 === 0 ? null : text(index)]));
});

test('a buffer compares as the type does', () => {
  fc.assert(
    fc.property(
      anyType.chain((type) => fc.tuple(fc.constant(type), nullableCellOf(type), nullableCellOf(type))),
      ([type, a, b]) => {
        if (a === null || b === null) return;
        const buffer = columnBuffer(type);
        buffer.putCell(3, a);
        const compare = buffer.comparer(b);
        if (compare !== undefined) expect(Math.sign(compare(3))).toBe(Math.sign(compareCells(type)(a, b)));
      },
    ),
    { numRuns: 1000 },
  );
});
