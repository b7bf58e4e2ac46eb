import fc from 'fast-check';

/** A row of the table that is written. */
export interface TargetRow {
  readonly id: number;
  readonly g: number;
  readonly n: bigint | null;
  readonly txt: string | null;
}

/** A row of the table that is read. */
export interface SourceRow {
  readonly id: number;
  readonly tid: number | null;
  readonly d: bigint | null;
  readonly w: string;
}

/** Both tables as plain objects. */
export interface WriteModel {
  readonly target: ReadonlyMap<number, TargetRow>;
  readonly source: ReadonlyMap<number, SourceRow>;
}

/** What a statement is expected to come to. */
export type Expected =
  | { readonly kind: 'count'; readonly count: number; readonly after: WriteModel }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly unknown[])[]; readonly after: WriteModel }
  | { readonly kind: 'refused'; readonly code: string };

/** A statement and its meaning, computed row by row. */
export interface ModelStatement {
  readonly sql: string;
  /** Which form it is, to see that all of them were met. */
  readonly form: string;
  play(model: WriteModel): Expected;
}

/** The columns of the tables, without their types' names. */
export const MODEL_TABLES = `
  CREATE SHARED TABLE app.t (id INT PRIMARY KEY, g INT, n BIGINT, txt TEXT);
  CREATE SHARED TABLE app.s (id INT PRIMARY KEY, tid INT, d BIGINT, w TEXT)` as const;

const inOrder = <R extends { readonly id: number }>(rows: ReadonlyMap<number, R>): readonly R[] =>
  [...rows.values()].sort((a, b) => a.id - b.id);

/** Ascending, NULL last. */
function compare(a: bigint | string | null, b: bigint | string | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

const plus = (a: bigint | null, b: bigint | null): bigint | null => (a === null || b === null ? null : a + b);

function sum(values: readonly (bigint | null)[]): bigint | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0n);
}

const owned = ({ source }: WriteModel, id: number): readonly SourceRow[] => inOrder(source).filter(({ tid }) => tid === id);

/** Changes rows; one that stays the same is not counted. */
function changed(model: WriteModel, rows: readonly TargetRow[]): { readonly count: number; readonly after: WriteModel } {
  const target = new Map(model.target);
  let count = 0;
  for (const row of rows) {
    const before = target.get(row.id);
    if (before?.n !== row.n || before.txt !== row.txt) count += 1;
    target.set(row.id, row);
  }
  return { count, after: { ...model, target } };
}

function updated(model: WriteModel, rows: readonly TargetRow[]): Expected {
  return { kind: 'count', ...changed(model, rows) };
}

function deleted(model: WriteModel, ids: readonly number[]): WriteModel {
  const target = new Map(model.target);
  for (const id of ids) target.delete(id);
  return { ...model, target };
}

const statement = (form: string, sql: string, play: ModelStatement['play']): ModelStatement => ({ form, sql, play });

function updateFrom(least: number): ModelStatement {
  const sql = `UPDATE t SET n = t.n + s.d, txt = s.w FROM s WHERE s.tid = t.id AND s.id >= ${least}`;
  return statement('update from', sql, (model) => {
    const rows = inOrder(model.target).flatMap((row) => {
      const joined = owned(model, row.id)
        .filter(({ id }) => id >= least)
        .map(({ d, w }) => ({ ...row, n: plus(row.n, d), txt: w }));
      return joined.sort((a, b) => compare(a.n, b.n) || compare(a.txt, b.txt)).slice(0, 1);
    });
    return updated(model, rows);
  });
}

function updateSubquery(g: number): ModelStatement {
  return statement('subquery in SET', `UPDATE t SET n = (SELECT sum(d) FROM s WHERE s.tid = t.id) WHERE g = ${g}`, (model) =>
    updated(
      model,
      inOrder(model.target)
        .filter((row) => row.g === g)
        .map((row) => ({ ...row, n: sum(owned(model, row.id).map(({ d }) => d)) })),
    ),
  );
}

function updateIn(least: number, negated: boolean): ModelStatement {
  const sql = `UPDATE t SET n = coalesce(n, 0) + 1 WHERE id ${negated ? 'NOT ' : ''}IN (SELECT tid FROM s WHERE id >= ${least})`;
  return statement(negated ? 'NOT IN' : 'IN', sql, (model) => {
    const tids = inOrder(model.source)
      .filter(({ id }) => id >= least)
      .map(({ tid }) => tid);
    // NOT IN a list with a NULL is never true.
    const wanted = (id: number): boolean => (negated ? !tids.includes(id) && !tids.includes(null) : tids.includes(id));
    return updated(
      model,
      inOrder(model.target)
        .filter(({ id }) => wanted(id))
        .map((row) => ({ ...row, n: (row.n ?? 0n) + 1n })),
    );
  });
}

function updatePair(): ModelStatement {
  const sql = 'UPDATE t SET (n, txt) = (SELECT d, w FROM s WHERE s.tid = t.id ORDER BY s.id LIMIT 1) WHERE g < 2';
  return statement('several columns', sql, (model) =>
    updated(
      model,
      inOrder(model.target)
        .filter(({ g }) => g < 2)
        .map((row) => {
          const [first] = owned(model, row.id);
          return { ...row, n: first?.d ?? null, txt: first?.w ?? null };
        }),
    ),
  );
}

function updateWith(): ModelStatement {
  const sql = `WITH c AS (SELECT tid, count(*) AS k, max(w) AS w FROM s GROUP BY tid)
    UPDATE t SET n = t.n + c.k FROM c WHERE c.tid = t.id RETURNING t.id, t.n, c.w, c.k + 1`;
  return statement('update with', sql, (model) => {
    const found = inOrder(model.target).flatMap((row) => {
      const rows = owned(model, row.id);
      const most = rows.map(({ w }) => w).sort()[rows.length - 1];
      return most === undefined ? [] : [{ row: { ...row, n: plus(row.n, BigInt(rows.length)) }, most, count: BigInt(rows.length) }];
    });
    const { after } = changed(
      model,
      found.map(({ row }) => row),
    );
    return { kind: 'rows', rows: found.map(({ row, most, count }) => [row.id, row.n, most, count + 1n]), after };
  });
}

function deleteUsing(most: number): ModelStatement {
  const sql = `DELETE FROM t USING s WHERE s.tid = t.id AND s.id <= ${most} RETURNING t.id, t.txt`;
  return statement('delete using', sql, (model) => {
    const rows = inOrder(model.target).filter(({ id }) => owned(model, id).some((row) => row.id <= most));
    const ids = rows.map(({ id }) => id);
    return { kind: 'rows', rows: rows.map(({ id, txt }) => [id, txt]), after: deleted(model, ids) };
  });
}

function updateSelf(g: number): ModelStatement {
  const sql = `UPDATE t SET n = coalesce(n, 0) + 100 WHERE id IN (SELECT o.id + 1 FROM t o WHERE o.g = ${g})`;
  return statement('update by itself', sql, (model) => {
    const rows = inOrder(model.target);
    const wanted = new Set(rows.filter((row) => row.g === g).map(({ id }) => id + 1));
    return updated(
      model,
      rows.filter(({ id }) => wanted.has(id)).map((row) => ({ ...row, n: (row.n ?? 0n) + 100n })),
    );
  });
}

function deleteSelf(g: number): ModelStatement {
  const sql = `DELETE FROM t USING t AS o WHERE o.id = t.id + 1 AND o.g = ${g} AND t.id > 2`;
  return statement('delete by itself', sql, (model) => {
    const ids = inOrder(model.target).flatMap(({ id }) => (id > 2 && model.target.get(id + 1)?.g === g ? [id] : []));
    return { kind: 'count', count: ids.length, after: deleted(model, ids) };
  });
}

function deleteAbove(): ModelStatement {
  return statement('delete by average', 'DELETE FROM t WHERE n > (SELECT avg(n) FROM t) + 3', (model) => {
    const known = inOrder(model.target).flatMap(({ n }) => n ?? []);
    const average = Number(sum(known) ?? 0n) / known.length;
    const ids = inOrder(model.target).flatMap(({ id, n }) => (n !== null && Number(n) > average + 3 ? [id] : []));
    return { kind: 'count', count: ids.length, after: deleted(model, ids) };
  });
}

type Conflict = 'none' | 'nothing' | 'compiled' | 'subquery';

const CONFLICTS: Readonly<Record<Conflict, string>> = {
  none: '',
  nothing: ' ON CONFLICT (id) DO NOTHING',
  compiled: ' ON CONFLICT (id) DO UPDATE SET n = coalesce(t.n, 0) + excluded.n WHERE t.g < 2',
  subquery:
    ' ON CONFLICT (id) DO UPDATE SET n = excluded.n + (SELECT count(*) FROM s WHERE s.tid = t.id), txt = excluded.txt WHERE t.id IN (SELECT tid FROM s)',
};

function inserted(model: WriteModel, rows: readonly TargetRow[], conflict: Conflict): Expected {
  const target = new Map(model.target);
  let count = 0;
  for (const row of rows) {
    const there = target.get(row.id);
    if (there === undefined) target.set(row.id, row);
    else if (conflict === 'none') return { kind: 'refused', code: 'DUPLICATE_KEY' };
    else if (conflict === 'nothing') continue;
    else if (conflict === 'compiled') {
      if (there.g >= 2) continue;
      target.set(row.id, { ...there, n: plus(there.n ?? 0n, row.n) });
    } else {
      const rivals = owned(model, row.id);
      if (rivals.length === 0) continue;
      target.set(row.id, { ...there, n: plus(row.n, BigInt(rivals.length)), txt: row.txt });
    }
    count += 1;
  }
  return { kind: 'count', count, after: { ...model, target } };
}

function insertSelect(shift: number, conflict: Conflict): ModelStatement {
  const sql = `INSERT INTO t (id, g, n, txt) SELECT t.id + ${shift}, t.g, sum(s.d), max(s.w) FROM t JOIN s ON s.tid = t.id GROUP BY t.id, t.g${CONFLICTS[conflict]}`;
  return statement(`insert select, ${conflict}`, sql, (model) => {
    const rows = inOrder(model.target).flatMap(({ id, g }): TargetRow[] => {
      const mine = owned(model, id);
      if (mine.length === 0) return [];
      return [{ id: id + shift, g, n: sum(mine.map(({ d }) => d)), txt: mine.map(({ w }) => w).sort()[mine.length - 1] ?? null }];
    });
    return inserted(model, rows, conflict);
  });
}

function insertSeries(from: number, conflict: Conflict): ModelStatement {
  const sql = `INSERT INTO t (id, g, n) SELECT x, x % 3, x * 10 FROM generate_series(${from}, ${from + 2}) AS series(x)${CONFLICTS[conflict]}`;
  return statement(`insert series, ${conflict}`, sql, (model) => {
    const rows = [from, from + 1, from + 2].map((id) => ({ id, g: id % 3, n: BigInt(id * 10), txt: null }));
    return inserted(model, rows, conflict);
  });
}

function insertValues(id: number, conflict: Conflict): ModelStatement {
  const sql = `INSERT INTO t VALUES (${id}, 1, (SELECT max(d) FROM s), 'v'), (${id + 1}, 2, 5, (SELECT min(w) FROM s))${CONFLICTS[conflict]}`;
  return statement(`insert values, ${conflict}`, sql, (model) => {
    const source = inOrder(model.source);
    const most = source
      .map(({ d }) => d)
      .sort(compare)
      .filter((d) => d !== null);
    const least = source.map(({ w }) => w).sort()[0] ?? null;
    const rows = [
      { id, g: 1, n: most[most.length - 1] ?? null, txt: 'v' },
      { id: id + 1, g: 2, n: 5n, txt: least },
    ];
    return inserted(model, rows, conflict);
  });
}

function putSource(row: SourceRow): ModelStatement {
  const sql = `INSERT INTO s VALUES (${row.id}, ${row.tid ?? 'NULL'}, ${row.d ?? 'NULL'}, '${row.w}')
    ON CONFLICT (id) DO UPDATE SET tid = excluded.tid, d = excluded.d, w = excluded.w`;
  return statement('source', sql, (model) => ({
    kind: 'count',
    count: 1,
    after: { ...model, source: new Map(model.source).set(row.id, row) },
  }));
}

const key = fc.integer({ min: 1, max: 8 });
const conflict = fc.constantFrom<Conflict>('none', 'nothing', 'compiled', 'subquery');
const sourceRow: fc.Arbitrary<SourceRow> = fc.record({
  id: key,
  tid: fc.option(key, { nil: null, freq: 8 }),
  d: fc.option(fc.bigInt({ min: -5n, max: 9n }), { nil: null, freq: 8 }),
  w: fc.constantFrom('a', 'b', 'B', 'ü', ''),
});

/** A random statement. */
export const modelStatement: fc.Arbitrary<ModelStatement> = fc.oneof(
  { weight: 4, arbitrary: sourceRow.map(putSource) },
  { weight: 2, arbitrary: key.map(updateFrom) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 }).map(updateSubquery) },
  { weight: 2, arbitrary: fc.tuple(key, fc.boolean()).map(([least, negated]) => updateIn(least, negated)) },
  { weight: 1, arbitrary: fc.constant(null).map(updatePair) },
  { weight: 1, arbitrary: fc.constant(null).map(updateWith) },
  { weight: 1, arbitrary: key.map(deleteUsing) },
  { weight: 1, arbitrary: fc.constant(null).map(deleteAbove) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 }).map(updateSelf) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 }).map(deleteSelf) },
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 0, max: 3 }), conflict).map(([shift, kind]) => insertSelect(shift, kind)) },
  { weight: 2, arbitrary: fc.tuple(key, conflict).map(([from, kind]) => insertSeries(from, kind)) },
  { weight: 2, arbitrary: fc.tuple(key, conflict).map(([id, kind]) => insertValues(id, kind)) },
);

/** Statements that are commits of their own, or a transaction and how it ends. */
export interface ModelBlock {
  readonly end: 'autocommit' | 'COMMIT' | 'ROLLBACK';
  readonly statements: readonly ModelStatement[];
}

/** A random program. */
export const modelProgram: fc.Arbitrary<readonly ModelBlock[]> = fc.array(
  fc.record({
    end: fc.constantFrom<ModelBlock['end']>('autocommit', 'autocommit', 'COMMIT', 'ROLLBACK'),
    statements: fc.array(modelStatement, { minLength: 1, maxLength: 5 }),
  }),
  { minLength: 1, maxLength: 6 },
);

/** The rows of both tables as SELECT gives them. */
export function modelRows({ target, source }: WriteModel): readonly (readonly (readonly unknown[])[])[] {
  return [inOrder(target).map(({ id, g, n, txt }) => [id, g, n, txt]), inOrder(source).map(({ id, tid, d, w }) => [id, tid, d, w])];
}
