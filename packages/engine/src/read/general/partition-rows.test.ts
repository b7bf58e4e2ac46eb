import { type Cell, KalamError, kalamError, plainType, type Row, systemTimers } from '@kalamdb/protocol';
import type { GeneralCheck } from '@kalamdb/sql';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { anyType, cellOf, nullableCellOf } from '../../../../protocol/src/values/cell.arbitrary.ts';
import type { Table } from '../../catalog/table.ts';
import { type GivenColumn, PartitionWorld, type ReadTable, tableWith } from './partition-world.fixture.ts';

const INT = plainType('int');
const TEXT = plainType('text');
const LONG = 'SELECT count(*) FROM range(10000000) a, range(10000000) b';

let world: PartitionWorld;
let lastTable = 1000;

beforeAll(async () => {
  world = await PartitionWorld.open();
});
afterAll(() => world.close());

const newId = (): number => ++lastTable;

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KalamError) return error.code;
    throw error;
  }
  return 'none';
}

const settle = async (done: () => boolean): Promise<void> => {
  while (!done()) await new Promise<void>((resolve) => systemTimers.after(5, resolve, { keepAlive: true }));
};

/** Two versions of a table: columns are added with or without a value for older rows, dropped, moved, and INTs widened. */
const twoVersions = fc
  .record({ before: fc.array(anyType, { maxLength: 4 }), added: fc.array(anyType, { maxLength: 2 }), seed: fc.nat() })
  .chain(({ before, added, seed }) => {
    const older: GivenColumn[] = [INT, ...before].map((type, index) => ({ id: index + 1, type }));
    const kept = older.slice(1).filter((_, index) => (seed >> index) % 3 !== 0);
    const widened = kept.map((given, index) =>
      given.type.kind === 'int' && (seed >> index) % 2 === 0 ? { ...given, type: plainType('bigint') } : given,
    );
    if (seed % 2 === 0) widened.reverse();
    const fresh = added.map((type, index) => ({ id: 100 + index, type }));
    const fills = fc.tuple(...fresh.map(({ type }) => fc.option(cellOf(type), { nil: undefined })));
    return fills.chain((values) => {
      const newer: GivenColumn[] = [...older.slice(0, 1), ...widened, ...fresh.map((given, index) => ({ ...given, fill: values[index] }))];
      const rowOf = (columns: readonly GivenColumn[]): fc.Arbitrary<Row> =>
        fc.tuple(...columns.slice(1).map(({ type }) => nullableCellOf(type))) as fc.Arbitrary<Row>;
      return fc.record({
        older: fc.constant(older),
        newer: fc.constant(newer),
        first: fc.array(rowOf(older), { maxLength: 6 }),
        applied: fc.array(rowOf(newer), { maxLength: 6 }),
        recent: fc.array(rowOf(newer), { maxLength: 6 }),
        deleted: fc.array(fc.nat(17), { maxLength: 3 }),
      });
    });
  });

test('rows of every type and version, stored or just written, arrive as the codec decodes them', async () => {
  await fc.assert(
    fc.asyncProperty(twoVersions, async ({ older, newer, first, applied, recent, deleted }) => {
      const id = newId();
      const before = tableWith(id, older);
      const table = tableWith(id, newer, { version: 2, olderVersions: new Map([[1, older]]) });
      const ended = (key: number): boolean => deleted.includes(key);
      const numbered = (rows: readonly Row[], from: number) =>
        rows.map((cells, index) => ({ cells: [from + index, ...cells], deleted: ended(from + index) }));
      const groups = [numbered(first, 0), numbered(applied, 6), numbered(recent, 12)] as const;
      await world.put(before, groups[0]);
      await world.put(table, groups[1]);
      await world.apply();
      await world.put(table, groups[2]);
      const expected = [
        ...groups[0].map(({ cells, deleted: gone }) => ({ cells: table.codec.decode(before.codec.encode(cells)), gone })),
        ...[...groups[1], ...groups[2]].map(({ cells, deleted: gone }) => ({ cells, gone })),
      ].filter(({ gone }) => !gone);
      const { rows } = await world.all(table);
      expect(rows.map((row) => row.slice(0, -2))).toEqual(expected.map(({ cells }) => cells));
    }),
    { numRuns: 40 },
  );
});

type Op =
  | { readonly kind: 'put'; readonly keys: readonly number[]; readonly n: number }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'apply' }
  | { readonly kind: 'query'; readonly columns: readonly string[]; readonly checks: readonly (readonly GeneralCheck[])[] | undefined };

const key = fc.nat(12);
const check: fc.Arbitrary<GeneralCheck> = fc.oneof(
  fc.record({
    column: fc.constant('c1'),
    test: fc.constantFrom('=' as const, '<' as const, '<=' as const, '>' as const, '>=' as const),
    cell: key,
  }),
  fc.record({ column: fc.constant('c1'), test: fc.constant('in' as const), cells: fc.array(key, { maxLength: 3 }) }),
  fc.record({ column: fc.constant('c2'), test: fc.constantFrom('=' as const, '<' as const, '>=' as const), cell: fc.nat(5) }),
  fc.record({
    column: fc.constant('c3'),
    test: fc.constantFrom('=' as const, '>' as const),
    cell: fc.constantFrom('a', 'text 3', 'text 4 that is a long one', 'é'),
  }),
  fc.record({ column: fc.constantFrom('c2', 'c3'), test: fc.constantFrom('null' as const, 'not null' as const) }),
);
const op: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('put' as const), keys: fc.uniqueArray(key, { minLength: 1, maxLength: 4 }), n: fc.nat(5) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('apply' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('query' as const),
      columns: fc.subarray(['c1', 'c2', 'c3', '_seq'], { minLength: 1 }),
      checks: fc.option(fc.array(fc.array(check, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 }), { nil: undefined }),
    }),
  },
);

const cellsOf = (id: number, n: number): Row => [
  id,
  n === 0 ? null : n,
  n % 2 === 0 ? `text ${n} that is a long one` : n === 5 ? null : `text ${n}`,
];

function meets(cells: Row, check: GeneralCheck): boolean {
  const cell = cells[Number(check.column.slice(1)) - 1] ?? null;
  if (check.test === 'null' || check.test === 'not null') return (cell === null) === (check.test === 'null');
  if (cell === null) return false;
  if (check.test === 'in') return check.cells.includes(cell);
  const { cell: to } = check as Extract<GeneralCheck, { readonly cell: unknown }>;
  return { '=': cell === to, '<': cell < to, '<=': cell <= to, '>': cell > to, '>=': cell >= to }[check.test as '='];
}

test('whatever was kept of it before, a query sees its partition as it is, and no row less than it asks for', async () => {
  const columns: GivenColumn[] = [INT, INT, TEXT].map((type, index) => ({ id: index + 1, type }));
  await fc.assert(
    fc.asyncProperty(fc.array(op, { minLength: 2, maxLength: 25 }), async (ops) => {
      const table = tableWith(newId(), columns);
      const model = new Map<number, Row>();
      for (const step of ops) {
        if (step.kind === 'put') {
          await world.put(
            table,
            step.keys.map((id) => ({ cells: cellsOf(id, step.n) })),
          );
          for (const id of step.keys) model.set(id, cellsOf(id, step.n));
        } else if (step.kind === 'delete') {
          await world.put(table, [{ cells: cellsOf(step.key, 1), deleted: true }]);
          model.delete(step.key);
        } else if (step.kind === 'apply') {
          await world.apply();
        } else {
          const used = new Set(['c1', ...step.columns, ...(step.checks ?? []).flat().map(({ column }) => column)]);
          const text = `SELECT ${[...used].map((name) => `k."${name}"`).join(', ')} FROM "k0" AS k ORDER BY k."c1"`;
          const { columns: names, rows } = await world.run(text, [
            { table, ...(step.checks === undefined ? {} : { checks: step.checks }) },
          ]);
          const needed = [...model.values()].filter(
            (cells) => step.checks?.some((list) => list.every((one) => meets(cells, one))) !== false,
          );
          const found = new Map(rows.map((row) => [Number(row[0]), row]));
          for (const [id, row] of found) {
            const cells = model.get(id);
            for (const [index, { name }] of names.entries()) {
              if (name !== '_seq') expect(String(row[index])).toBe(String(cells?.[Number(name.slice(1)) - 1]));
            }
          }
          expect([...found.keys()]).toEqual(expect.arrayContaining(needed.map(([id]) => Number(id))));
          if (step.checks === undefined) expect(found.size).toBe(model.size);
        }
      }
    }),
    { numRuns: 40 },
  );
});

test('checks leave rows out before they are filled', async () => {
  const table = tableWith(
    newId(),
    [INT, INT, TEXT].map((type, index) => ({ id: index + 1, type })),
  );
  await world.put(
    table,
    Array.from({ length: 500 }, (_, id) => ({ cells: cellsOf(id, id % 6) })),
  );
  const count = async (...checks: readonly GeneralCheck[]): Promise<Cell | undefined> =>
    (await world.run('SELECT count(k."c1" + k."c2") + count(*) - count(k."c2") FROM "k0" AS k', [{ table, checks: [checks] }]))
      .rows[0]?.[0];
  expect(await count({ column: 'c1', test: '=', cell: 7 })).toBe(1n);
  expect(await count({ column: 'c1', test: 'in', cells: [1, 2, 900] })).toBe(2n);
  expect(await count({ column: 'c1', test: '>=', cell: 10 }, { column: 'c1', test: '<', cell: 13 })).toBe(3n);
  expect(
    await count({ column: 'c1', test: '>', cell: 10 }, { column: 'c1', test: '<=', cell: 13 }, { column: 'c2', test: '=', cell: 1 }),
  ).toBe(1n);
  expect(await count({ column: 'c2', test: 'null' })).toBe(84n);
});

test('a partition is filled once as long as it does not change, with the columns that are asked for', async () => {
  const table = tableWith(
    newId(),
    [INT, INT, TEXT].map((type, index) => ({ id: index + 1, type })),
  );
  await world.put(table, [{ cells: [1, 10, 'x'] }, { cells: [2, 20, 'y'] }]);
  const before = new Set((await world.kept()).keys());
  const own = async (): Promise<readonly (readonly [string, number])[]> => [...(await world.kept())].filter(([name]) => !before.has(name));
  const sum = async (): Promise<Cell | undefined> => (await world.run('SELECT sum(k."c2") FROM "k0" AS k', [{ table }])).rows[0]?.[0];
  expect(await sum()).toBe(30n);
  const [first] = await own();
  // Its column, and the key.
  expect(first?.[1]).toBe(2);
  expect(await sum()).toBe(30n);
  await world.apply();
  expect(await sum()).toBe(30n);
  expect(await own()).toEqual([first]);
  await world.run('SELECT k."c3" FROM "k0" AS k', [{ table }]);
  const [second, none] = await own();
  expect([second?.[1], none, second?.[0] === first?.[0]]).toEqual([3, undefined, false]);
  await world.put(table, [{ cells: [2, 21, 'y'] }]);
  expect(await sum()).toBe(31n);
  expect((await own())[0]?.[0]).not.toBe(second?.[0]);
  await world.put(table, [{ cells: [1, 10, 'x'], deleted: true }]);
  expect(await sum()).toBe(21n);
});

test('a large table that has changed a little is renewed, whatever has changed and wherever that stands', async () => {
  const table = tableWith(
    newId(),
    [INT, INT, TEXT].map((type, index) => ({ id: index + 1, type })),
  );
  const model = new Map<number, Row>();
  const put = async (ids: readonly number[], n: number, deleted = false): Promise<void> => {
    await world.put(
      table,
      ids.map((id) => ({ cells: cellsOf(id, n), deleted })),
    );
    for (const id of ids) {
      if (deleted) model.delete(id);
      else model.set(id, cellsOf(id, n));
    }
  };
  const read = async (): Promise<readonly number[]> => {
    const { rows } = await world.run('SELECT k."c1", k."c2", k."c3" FROM "k0" AS k', [{ table }]);
    expect(new Map(rows.map(([id, n, text]) => [Number(id), `${n} ${text}`]))).toEqual(
      new Map([...model].map(([id, [, n, text]]) => [id, `${n} ${text}`])),
    );
    expect(rows).toHaveLength(model.size);
    return rows.map(([id]) => Number(id));
  };
  await put(
    Array.from({ length: 3000 }, (_, id) => id * 2),
    1,
  );
  await world.apply();
  expect((await read()).slice(0, 3)).toEqual([0, 2, 4]);
  await put([4, 7], 2);
  expect((await read()).slice(-2).sort()).toEqual([4, 7]);
  await put([7, 8], 3, true);
  await world.apply();
  await put([9, 4, 0], 4);
  expect((await read()).slice(-3).sort()).toEqual([0, 4, 9]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          ids: fc.uniqueArray(fc.nat(6100), { minLength: 1, maxLength: 5 }),
          n: fc.nat(5),
          deleted: fc.boolean(),
          apply: fc.boolean(),
        }),
        {
          minLength: 1,
          maxLength: 6,
        },
      ),
      async (changes) => {
        for (const { ids, n, deleted, apply } of changes) {
          await put(ids, n, deleted);
          if (apply) await world.apply();
        }
        await read();
      },
    ),
    { numRuns: 25 },
  );
  await put(
    Array.from({ length: 1000 }, (_, id) => id * 3),
    5,
  );
  expect((await read()).slice(0, 3)).toEqual([...model.keys()].sort((a, b) => a - b).slice(0, 3));
});

test('a scan that leaves rows out is kept when it comes again', async () => {
  const table = tableWith(
    newId(),
    [INT, INT].map((type, index) => ({ id: index + 1, type })),
  );
  await world.put(
    table,
    Array.from({ length: 50 }, (_, id) => ({ cells: [id, id % 5] })),
  );
  const before = (await world.kept()).size;
  const read = (n: number) =>
    world.run('SELECT k."c1", k."c2" FROM "k0" AS k', [{ table, checks: [[{ column: 'c2', test: '=', cell: n }]] }]);
  expect((await read(1)).rows).toHaveLength(10);
  expect((await world.kept()).size).toBe(before);
  expect((await read(2)).rows).toHaveLength(50);
  expect((await world.kept()).size).toBe(before + 1);
});

test('what is kept for one reader is not there for another: neither rows of other owners nor masked cells', async () => {
  const table = tableWith(
    newId(),
    [INT, TEXT, plainType('uuid')].map((type, index) => ({ id: index + 1, type })),
  );
  const uuid = '00000000-0000-0000-0000-00000000000f';
  for (const owner of ['ann', 'bob', '']) await world.put(table, [{ cells: [1, `of ${owner}`, uuid] }, { cells: [2, null, null] }], owner);
  const read = async (extra: Partial<ReadTable>): Promise<readonly Row[]> =>
    (await world.run('SELECT k."c2", k."c3" FROM "k0" AS k ORDER BY k."c1"', [{ table, ...extra }])).rows;
  const nothing: Row = [null, null];
  for (let round = 0; round < 2; round += 1) {
    expect(await read({ owner: 'ann' })).toEqual([[`of ann`, uuid], nothing]);
    expect(await read({ owner: 'bob' })).toEqual([[`of bob`, uuid], nothing]);
    expect(await read({ owner: '' })).toEqual([[`of `, uuid], nothing]);
    expect(await read({ owner: 'cy' })).toEqual([]);
    expect(await read({ owner: 'ann', maskedCells: [1] })).toEqual([['***', uuid], nothing]);
    expect(await read({ owner: 'ann', maskedCells: [2, 1] })).toEqual([['***', null], nothing]);
    expect(await read({ owner: 'ann', maskedCells: [1, 2] })).toEqual([['***', null], nothing]);
  }
  const secret: GeneralCheck = { column: 'c2', test: '=', cell: '***' };
  expect(await read({ owner: 'bob', maskedCells: [1], checks: [[secret]] })).toEqual([['***', uuid], nothing]);
  const ofKey: GeneralCheck = { column: 'c1', test: '=', cell: 7 };
  expect((await world.run('SELECT k."c1" FROM "k0" AS k', [{ table, maskedCells: [0], checks: [[ofKey]] }])).rows).toHaveLength(2);
});

test('an older version of a table is not read from what was kept of a newer one', async () => {
  const id = newId();
  const older = tableWith(id, [
    { id: 1, type: INT },
    { id: 2, type: INT },
  ]);
  const newer = tableWith(
    id,
    [
      { id: 1, type: INT },
      { id: 2, type: plainType('bigint') },
      { id: 3, type: TEXT, fill: 'new' },
    ],
    {
      version: 2,
      olderVersions: new Map([[1, older.storedColumns]]),
    },
  );
  await world.put(older, [{ cells: [1, 5] }]);
  await world.apply();
  expect((await world.run('SELECT k."c2" FROM "k0" AS k', [{ table: older }])).rows).toEqual([[5n]]);
  expect((await world.run('SELECT k."c2", k."c3" FROM "k0" AS k', [{ table: newer }])).rows).toEqual([[5n, 'new']]);
});

test('the tables of one query are of one commit, kept or not', async () => {
  const [a, b] = [newId(), newId()].map((id) =>
    tableWith(
      id,
      [INT, INT].map((type, index) => ({ id: index + 1, type })),
    ),
  );
  if (a === undefined || b === undefined) throw new Error('no tables');
  await world.put(a, [{ cells: [1, 100] }]);
  await world.put(b, [{ cells: [1, 0] }]);
  let writing = true;
  const writer = (async () => {
    for (let moved = 1; writing; moved += 1) {
      await world.sequencer.submit((draft) => {
        draft.put(a, a.partitionFor('ann'), { cells: [1, 100 - moved], deleted: false });
        draft.put(b, b.partitionFor('ann'), { cells: [1, moved], deleted: false });
      });
    }
  })();
  for (let round = 0; round < 40; round += 1) {
    const { rows } = await world.run('SELECT (SELECT sum(x."c2") FROM "k0" AS x) + (SELECT sum(y."c2") FROM "k1" AS y)', [
      { table: a },
      { table: b },
    ]);
    expect(rows).toEqual([[100n]]);
  }
  writing = false;
  await writer;
});

test('what is kept has a bound; what is too large is not kept, and large queries drop what nobody reads', async () => {
  const small = await PartitionWorld.open({ memoryBytesMax: 16 * 1024 * 1024 });
  try {
    const columns: GivenColumn[] = [INT, TEXT].map((type, index) => ({ id: index + 1, type }));
    const tables = [1, 2, 3, 4].map(() => tableWith(newId(), columns));
    const read = (table: Table) => small.run('SELECT count(k."c2") FROM "k0" AS k', [{ table }]);
    for (const [index, table] of tables.entries()) {
      const rows = index === 3 ? 8000 : 3000;
      for (let from = 0; from < rows; from += 1000) {
        await small.put(
          table,
          Array.from({ length: 1000 }, (_, row) => ({ cells: [from + row, `${from + row}`.padEnd(500, '.')] })),
        );
      }
      expect((await read(table)).rows).toEqual([[BigInt(rows)]]);
    }
    expect((await small.kept()).size).toBe(2);
    const all = 'SELECT count(*) FROM (SELECT DISTINCT a.range + b.range * 10000 FROM range(10000) a, range(1000) b) x';
    expect(await failure(small.run(all))).toBe('QUERY_TOO_LARGE');
    expect((await small.kept()).size).toBe(0);
  } finally {
    await small.close();
  }
});

test('an answer is made as it is read; a reader that goes away or stands still leaves its slot', async () => {
  const hasty = await PartitionWorld.open({ timeoutMillis: 2000 });
  try {
    await settleUntilStarted(hasty);
    const stream = await hasty.executor.stream(hasty.request('SELECT range, range * 2 FROM range(3000000)'));
    const first = await stream.next();
    expect(first?.[1]).toEqual([1n, 2n]);
    expect(first?.length).toBeLessThan(100_000);
    await stream.close();
    await stream.close();
    await settle(() => hasty.executor.load.running === 0);
    const stalled = await hasty.executor.stream(hasty.request('SELECT range FROM range(3000000)'));
    await settle(() => hasty.executor.load.running === 0);
    expect(await failure(stalled.next())).toBe('STATEMENT_TIMEOUT');
    const gone = new AbortController();
    const left = await hasty.executor.stream(hasty.request('SELECT range FROM range(3000000)'), gone.signal);
    gone.abort(kalamError('QUERY_INTERRUPTED'));
    expect(await failure(left.next())).toBe('QUERY_INTERRUPTED');
    await settle(() => hasty.executor.load.running === 0);
    let rows = 0;
    const whole = await hasty.executor.stream(hasty.request('SELECT range FROM range(100000)'));
    for (let batch = await whole.next(); batch !== undefined; batch = await whole.next()) {
      expect(batch[0]).toEqual([BigInt(rows)]);
      rows += batch.length;
    }
    expect(rows).toBe(100_000);
    const empty = await hasty.executor.stream(hasty.request('SELECT range FROM range(0)'));
    expect([empty.columns.length, await empty.next(), await empty.next()]).toEqual([1, undefined, undefined]);
  } finally {
    await hasty.close();
  }
});

test('an answer that nobody reads to its end holds no memory of the thread', async () => {
  const hasty = await PartitionWorld.open();
  try {
    await settleUntilStarted(hasty);
    const sorted = "SELECT repeat('x', 100) || range AS b FROM range(300000) ORDER BY b";
    for (const text of [sorted, `SELECT b FROM (${sorted}) AS q`]) {
      const stream = await hasty.executor.stream(hasty.request(text));
      await stream.next();
      await stream.close();
    }
    await hasty.executor.run({ ...hasty.request(sorted), rowsMax: 1 });
    expect(await failure(hasty.run(`SELECT CAST(340282366920938463463374607431768211455 AS UHUGEINT) FROM (${sorted}) AS q`))).not.toBe(
      'none',
    );
    await settle(() => hasty.executor.load.running === 0);
    const { rows } = await hasty.run('SELECT CAST(coalesce(sum(memory_usage_bytes), 0) AS BIGINT) FROM duckdb_memory()');
    expect(Number(rows[0]?.[0])).toBeLessThan(4 * 1024 * 1024);
  } finally {
    await hasty.close();
  }
});

test('a query that comes while the thread lets go of the hot tier waits for the next one', async () => {
  const table = tableWith(
    newId(),
    [INT, INT].map((type, index) => ({ id: index + 1, type })),
  );
  await world.put(table, [{ cells: [1, 2] }]);
  await world.run('SELECT 1');
  const gone = world.executor.letGo();
  expect((await world.run('SELECT k."c2" FROM "k0" AS k', [{ table }])).rows).toEqual([[2n]]);
  await gone;
});

async function settleUntilStarted(started: PartitionWorld): Promise<void> {
  while ((await failure(started.run('SELECT 1'))) !== 'none');
}

test('a thread that lets go of the hot tier ends its queries, and the next one starts another', async () => {
  const table = tableWith(
    newId(),
    [INT, INT].map((type, index) => ({ id: index + 1, type })),
  );
  await world.put(table, [{ cells: [1, 2] }]);
  const running = failure(world.run(LONG));
  await settle(() => world.executor.load.running === 1);
  await world.executor.letGo();
  expect(await running).toBe('QUERY_INTERRUPTED');
  expect(world.executor.isLoaded).toBe(false);
  expect((await world.run('SELECT k."c2" FROM "k0" AS k', [{ table }])).rows).toEqual([[2n]]);
});

test('the overlay keeps what a waiting query may need, and no longer', async () => {
  const table = tableWith(
    newId(),
    [INT, INT].map((type, index) => ({ id: index + 1, type })),
  );
  await world.put(table, [{ cells: [1, 2] }]);
  await world.run('SELECT k."c2" FROM "k0" AS k', [{ table }]);
  await world.put(table, [{ cells: [1, 3] }]);
  await world.apply();
  expect(world.sequencer.snapshots.oldestSeq()).toBeUndefined();
});
