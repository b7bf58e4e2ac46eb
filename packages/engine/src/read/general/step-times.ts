import { kalamError } from '@kalamdb/protocol';

/** What DuckDB does for a query, as far as EXPLAIN ANALYZE tells it apart. */
export type QueryStep = 'segments' | 'tables' | 'joins' | 'groups' | 'windows' | 'sorting' | 'rest';

/** How DuckDB ran a query. */
export interface ProfiledRun {
  /** Of the answer. */
  readonly rows: number;
  /** The steps that there were, with what their operators took, added up over all threads; in the order of {@link QueryStep}. */
  readonly steps: readonly (readonly [step: QueryStep, millis: number])[];
}

/** By the names of DuckDB's operators; the first that fits counts. */
const STEPS: readonly (readonly [QueryStep, RegExp])[] = [
  ['segments', /PARQUET/],
  ['tables', /SEQ_SCAN|TABLE_SCAN|INDEX_SCAN/],
  ['joins', /JOIN|CROSS_PRODUCT/],
  ['groups', /GROUP_BY|AGGREGATE|DISTINCT/],
  ['windows', /WINDOW/],
  ['sorting', /ORDER_BY|TOP_N/],
  ['rest', /^/],
];

/** What a query is run as so that DuckDB answers with its profile instead of its rows. */
export function profilingText(text: string, rowsMax: number | undefined): string {
  const bounded = rowsMax === undefined ? text : `SELECT * FROM (${text}) AS answer LIMIT ${rowsMax}`;
  return `EXPLAIN (ANALYZE, FORMAT json) ${bounded}`;
}

interface Operator {
  readonly name: string;
  readonly millis: number;
  readonly rows: number;
}

/** Reads the profile. Throws INTERNAL_ERROR when it is none. */
export function profiledRun(profile: string): ProfiledRun {
  const operators = [...operatorsOf(JSON.parse(profile))];
  const [first] = operators;
  if (first === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a profile without operators' });
  const millis = new Map<QueryStep, number>();
  for (const operator of operators) {
    const [step] = STEPS.find(([, pattern]) => pattern.test(operator.name)) ?? ['rest'];
    millis.set(step, (millis.get(step) ?? 0) + operator.millis);
  }
  return { rows: first.rows, steps: STEPS.flatMap(([step]) => (millis.has(step) ? [[step, millis.get(step) ?? 0] as const] : [])) };
}

/** The operators of a profile, that which gives the rows first. */
function* operatorsOf(node: unknown): Generator<Operator> {
  if (typeof node !== 'object' || node === null) return;
  const fields = new Map<string, unknown>(Object.entries(node));
  const name = fields.get('operator_name');
  if (typeof name === 'string' && name !== 'EXPLAIN_ANALYZE') {
    yield { name, millis: 1000 * Number(fields.get('operator_timing') ?? 0), rows: Number(fields.get('operator_cardinality') ?? 0) };
  }
  const children = fields.get('children');
  if (Array.isArray(children)) for (const child of children) yield* operatorsOf(child);
}
