import type { SeededRandom } from '@kalamdb/testing';
import type { ModelPredicate, ModelRow, TableModel, Truth } from './table-model.ts';

/** Keys are drawn from 0 to this, so that statements meet each other's rows. */
const KEY_MAX = 40;
const TEXTS: readonly (string | null)[] = [null, '', 'a', 'ab', "it's", 'ünïcode ✓', 'x%y', 'A'];
const NUMBERS: readonly (number | null)[] = [null, -7, 0, 1, 2, 3, 100, 9_007_199_254_740_991];

/** What a statement must answer. */
export type Expected =
  | { readonly kind: 'count'; readonly verb: 'Inserted' | 'Updated' | 'Deleted'; readonly count: number }
  | { readonly kind: 'error'; readonly contains: string }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly unknown[])[] };

/** One random statement: its text for a table, and what it does to the model and answers. */
export interface Step {
  readonly label: string;
  sql(table: string): string;
  run(model: TableModel): Expected;
}

const literal = (value: string | number | boolean | null): string =>
  value === null ? 'NULL' : typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value);

/** Draws the next statement. */
export function nextStep(random: SeededRandom): Step {
  const kinds = [insertStep, insertStep, insertStep, updateStep, updateStep, deleteStep, selectStep, selectStep, aggregateStep, keyStep];
  return random.pick(kinds)(random);
}

function randomRow(random: SeededRandom): ModelRow {
  return { id: random.integer(KEY_MAX), txt: random.pick(TEXTS), n: random.pick(NUMBERS), flag: random.integer(2) === 0 };
}

function insertStep(random: SeededRandom): Step {
  const rows = Array.from({ length: 1 + random.integer(4) }, () => randomRow(random));
  const values = rows.map(({ id, txt, n, flag }) => `(${[id, txt, n, flag].map(literal).join(', ')})`);
  return {
    label: 'insert',
    sql: (table) => `INSERT INTO ${table} (id, txt, n, flag) VALUES ${values.join(', ')}`,
    run: (model) =>
      model.insert(rows) ? { kind: 'count', verb: 'Inserted', count: rows.length } : { kind: 'error', contains: 'primary key' },
  };
}

function updateStep(random: SeededRandom): Step {
  const predicate = randomPredicate(random, 2);
  const txt = random.pick(TEXTS);
  const add = random.integer(5);
  const changes: readonly { readonly sql: string; apply(row: ModelRow): ModelRow }[] = [
    { sql: `txt = ${literal(txt)}`, apply: (row) => ({ ...row, txt }) },
    { sql: `n = n + ${add}`, apply: (row) => ({ ...row, n: row.n === null ? null : row.n + add }) },
    { sql: 'flag = NOT flag, n = NULL', apply: (row) => ({ ...row, flag: !row.flag, n: null }) },
    { sql: "txt = CASE WHEN n > 1 THEN 'big' ELSE txt END", apply: (row) => ((row.n ?? 0) > 1 ? { ...row, txt: 'big' } : row) },
    { sql: 'n = id * 2', apply: (row) => ({ ...row, n: row.id * 2 }) },
  ];
  // The largest safe integer must not be added to: the model counts in doubles.
  const guard = both(predicate, { sql: '(n IS NULL OR n < 1000000)', test: (row) => row.n === null || row.n < 1_000_000 });
  const change = random.pick(changes);
  return {
    label: 'update',
    sql: (table) => `UPDATE ${table} SET ${change.sql} WHERE ${guard.sql}`,
    run: (model) => ({ kind: 'count', verb: 'Updated', count: model.update(guard, change.apply) }),
  };
}

function deleteStep(random: SeededRandom): Step {
  const predicate = both(randomPredicate(random, 1), randomPredicate(random, 0));
  return {
    label: 'delete',
    sql: (table) => `DELETE FROM ${table} WHERE ${predicate.sql}`,
    run: (model) => ({ kind: 'count', verb: 'Deleted', count: model.delete(predicate) }),
  };
}

const cells = ({ id, txt, n, flag }: ModelRow): readonly unknown[] => [id, txt, n === null ? null : String(n), flag];

function selectStep(random: SeededRandom): Step {
  const predicate = randomPredicate(random, 2);
  const limit = random.integer(2) === 0 ? undefined : random.integer(10);
  const descending = random.integer(2) === 0;
  return {
    label: 'select',
    sql: (table) =>
      `SELECT id, txt, n, flag FROM ${table} WHERE ${predicate.sql} ORDER BY n ${descending ? 'DESC' : 'ASC'}, id${limit === undefined ? '' : ` LIMIT ${limit}`}`,
    run: (model) => {
      // PostgreSQL's order: NULL counts as larger than every number.
      const rank = ({ n }: ModelRow): number => n ?? Number.POSITIVE_INFINITY;
      const rows = [...model.matching(predicate)].sort((a, b) => {
        if (rank(a) === rank(b)) return a.id - b.id;
        return (rank(a) < rank(b) ? -1 : 1) * (descending ? -1 : 1);
      });
      return { kind: 'rows', rows: rows.slice(0, limit).map(cells) };
    },
  };
}

function aggregateStep(random: SeededRandom): Step {
  const predicate = randomPredicate(random, 1);
  return {
    label: 'aggregate',
    sql: (table) =>
      `SELECT flag, COUNT(*) AS rows, COUNT(n) AS numbers, MIN(id) AS first FROM ${table} WHERE ${predicate.sql} GROUP BY flag ORDER BY flag`,
    run: (model) => {
      const matching = model.matching(predicate);
      const groups = [false, true].map((flag) => matching.filter((row) => row.flag === flag)).filter((group) => group.length > 0);
      const rows = groups.map((group) => [
        group[0]?.flag,
        String(group.length),
        String(group.filter(({ n }) => n !== null).length),
        Math.min(...group.map(({ id }) => id)),
      ]);
      return { kind: 'rows', rows };
    },
  };
}

function keyStep(random: SeededRandom): Step {
  const id = random.integer(KEY_MAX);
  return {
    label: 'key',
    sql: (table) => `SELECT id, txt, n, flag FROM ${table} WHERE id = ${id}`,
    run: (model) => ({
      kind: 'rows',
      rows: model
        .rows()
        .filter((row) => row.id === id)
        .map(cells),
    }),
  };
}

const both = (a: ModelPredicate, b: ModelPredicate): ModelPredicate => ({
  sql: `(${a.sql} AND ${b.sql})`,
  test: (row) => and(a.test(row), b.test(row)),
});

const and = (a: Truth, b: Truth): Truth => (a === false || b === false ? false : a === null || b === null ? null : true);
const not = (a: Truth): Truth => (a === null ? null : !a);

function randomPredicate(random: SeededRandom, depth: number): ModelPredicate {
  if (depth > 0 && random.integer(2) === 0) {
    const left = randomPredicate(random, depth - 1);
    const right = randomPredicate(random, depth - 1);
    const forms: readonly ModelPredicate[] = [
      both(left, right),
      { sql: `(${left.sql} OR ${right.sql})`, test: (row) => not(and(not(left.test(row)), not(right.test(row)))) },
      { sql: `NOT (${left.sql})`, test: (row) => not(left.test(row)) },
    ];
    return random.pick(forms);
  }
  const number = random.pick([-7, 0, 1, 2, 100]);
  const ids = [random.integer(KEY_MAX), random.integer(KEY_MAX)].sort((a, b) => a - b);
  const [low = 0, high = 0] = ids;
  const text = random.pick(['a', 'ab', '', "it's"]);
  const compare = <T>(value: T | null, test: (value: T) => boolean): Truth => (value === null ? null : test(value));
  return random.pick<ModelPredicate>([
    { sql: `id = ${low}`, test: ({ id }) => id === low },
    { sql: `id IN (${low}, ${high})`, test: ({ id }) => id === low || id === high },
    { sql: `id BETWEEN ${low} AND ${high}`, test: ({ id }) => id >= low && id <= high },
    { sql: `id > ${low}`, test: ({ id }) => id > low },
    { sql: `n > ${number}`, test: ({ n }) => compare(n, (value) => value > number) },
    { sql: `n <> ${number}`, test: ({ n }) => compare(n, (value) => value !== number) },
    { sql: 'n IS NULL', test: ({ n }) => n === null },
    { sql: `txt = ${literal(text)}`, test: ({ txt }) => compare(txt, (value) => value === text) },
    { sql: "txt LIKE 'a%'", test: ({ txt }) => compare(txt, (value) => value.startsWith('a')) },
    { sql: "txt NOT IN ('a', 'A')", test: ({ txt }) => compare(txt, (value) => value !== 'a' && value !== 'A') },
    { sql: 'flag', test: ({ flag }) => flag },
    { sql: 'n = id', test: ({ n, id }) => compare(n, (value) => value === id) },
  ]);
}
