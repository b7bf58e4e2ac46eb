/** A row's cells as the wire has them: 64-bit integers and JSON are text. */
export type Cells = Readonly<Record<string, unknown>>;

/** SQL's three truth values. */
type Truth = boolean | null;

/** A condition as SQL and as the oracle, which knows nothing of the product's expressions, evaluates it. */
export interface RowFilter {
  readonly sql: string;
  test(row: Cells, user: string): Truth;
}

const number = (row: Cells, name: string): number | null => (row[name] as number | null | undefined) ?? null;
const text = (row: Cells, name: string): string | null => (row[name] as string | null | undefined) ?? null;
const when = <T>(value: T | null, test: (value: T) => boolean): Truth => (value === null ? null : test(value));
const not = (truth: Truth): Truth => (truth === null ? null : !truth);
const and = (a: Truth, b: Truth): Truth => (a === false || b === false ? false : a === null || b === null ? null : true);
const or = (a: Truth, b: Truth): Truth => not(and(not(a), not(b)));

const doc = (row: Cells): unknown => {
  const json = text(row, 'doc');
  return json === null ? null : JSON.parse(json);
};
const member = (value: unknown, name: string): unknown =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? ((value as Record<string, unknown>)[name] ?? null) : null;

const on = (sql: string, test: RowFilter['test']): RowFilter => ({ sql, test });
const onNumber = (sql: string, test: (n: number) => boolean): RowFilter => on(sql, (row) => when(number(row, 'n'), test));
const onText = (sql: string, test: (txt: string) => boolean): RowFilter => on(sql, (row) => when(text(row, 'txt'), test));
const both = (a: RowFilter, b: RowFilter): RowFilter =>
  on(`${a.sql} AND ${b.sql}`, (row, user) => and(a.test(row, user), b.test(row, user)));
const either = (a: RowFilter, b: RowFilter): RowFilter =>
  on(`(${a.sql} OR ${b.sql})`, (row, user) => or(a.test(row, user), b.test(row, user)));

const FIVE = onNumber('n = 5', (n) => n === 5);
const SOME = onNumber('n IN (1, 2, 7)', (n) => [1, 2, 7].includes(n));
const RANGE = onNumber('n BETWEEN 2 AND 6', (n) => n >= 2 && n <= 6);
const TEXT_A = onText("txt = 'a'", (txt) => txt === 'a');
const FLAG = on('flag', (row) => (row['flag'] as Truth | undefined) ?? null);
const ALL = on('TRUE', () => true);

/** Conditions of every kind that a SELECT takes; columns: `n INT, big BIGINT, f DOUBLE, txt TEXT, flag BOOLEAN, doc JSON`. */
export const ROW_FILTERS: readonly RowFilter[] = [
  ALL,
  FIVE,
  SOME,
  RANGE,
  TEXT_A,
  FLAG,
  onNumber('n > 3', (n) => n > 3),
  onNumber('n >= 2 AND n < 7', (n) => n >= 2 && n < 7),
  onNumber('n <> 4', (n) => n !== 4),
  onNumber('n NOT IN (3, 5)', (n) => n !== 3 && n !== 5),
  onNumber('NOT n BETWEEN 1 AND 4', (n) => n < 1 || n > 4),
  on('n IS NULL', (row) => number(row, 'n') === null),
  on('n IS DISTINCT FROM 5', (row) => number(row, 'n') !== 5),
  on('txt IS NOT NULL', (row) => text(row, 'txt') !== null),
  onText("txt IN ('a', 'abc', 'nobody')", (txt) => ['a', 'abc', 'nobody'].includes(txt)),
  onText("txt LIKE 'a%'", (txt) => txt.startsWith('a')),
  onText("txt NOT LIKE '_b%'", (txt) => [...txt][1] !== 'b'),
  onText("txt ILIKE 'AB%'", (txt) => txt.toLowerCase().startsWith('ab')),
  onText("txt > 'a'", (txt) => Buffer.compare(Buffer.from(txt), Buffer.from('a')) > 0),
  onText("upper(txt) = 'AB'", (txt) => txt.toUpperCase() === 'AB'),
  onText('length(txt) > 2', (txt) => [...txt].length > 2),
  onText("txt || '!' = 'a!'", (txt) => txt === 'a'),
  onNumber('n % 3 = 1', (n) => n % 3 === 1),
  onNumber('n * 2 + 1 > 7', (n) => n * 2 + 1 > 7),
  onNumber('abs(n - 5) <= 2', (n) => Math.abs(n - 5) <= 2),
  on('coalesce(n, 0) = 0', (row) => (number(row, 'n') ?? 0) === 0),
  on('nullif(n, 3) IS NULL', (row) => number(row, 'n') === null || number(row, 'n') === 3),
  on('CASE WHEN flag THEN n ELSE -1 END > 3', (row) => (row['flag'] === true ? when(number(row, 'n'), (n) => n > 3) : false)),
  on('f / 2.0 < 1.0', (row) => when(number(row, 'f'), (f) => f / 2 < 1)),
  on('big > 9007199254740992', (row) => when(text(row, 'big'), (big) => BigInt(big) > 9_007_199_254_740_992n)),
  on("doc->>'kind' = 'a'", (row) => when(member(doc(row), 'kind'), (kind) => kind === 'a')),
  on("doc ? 'k'", (row) => when(doc(row), (value) => typeof value === 'object' && !Array.isArray(value) && 'k' in (value as object))),
  on("doc->'k'->>'x' = '1'", (row) => when(member(member(doc(row), 'k'), 'x'), (x) => x === '1')),
  on("CAST(doc->>'n' AS INT) > 3", (row) => when(member(doc(row), 'n'), (n) => Number(n) > 3)),
  on('txt = CURRENT_USER()', (row, user) => when(text(row, 'txt'), (txt) => txt === user)),
  both(FIVE, TEXT_A),
  both(SOME, FLAG),
  both(
    RANGE,
    on('flag IS NOT TRUE', (row) => row['flag'] !== true),
  ),
  either(FIVE, TEXT_A),
  either(
    onNumber('n < 0', (n) => n < 0),
    SOME,
  ),
  both(
    SOME,
    onText("txt LIKE '%b%'", (txt) => txt.includes('b')),
  ),
];

/** What rows are made of: every value that some condition tells from the others. */
export const CELL_VALUES = {
  n: [null, -2, 0, 1, 2, 3, 4, 5, 5, 6, 7, 9],
  big: [null, '-1', '5', '9007199254740993', '9223372036854775807'],
  f: [null, -3, 0.5, 1.25, 2.5e10],
  txt: [null, '', 'a', 'a', 'ab', 'abc', 'Ab', 'b%c', 'ünï', "it's", 'alice', 'bob'],
  flag: [null, true, false],
  doc: [null, '{"kind":"a","n":3,"k":{"x":"1"}}', '{"kind":"b"}', '[1,2]', '{"n":7,"k":null}', '{}'],
} as const;
