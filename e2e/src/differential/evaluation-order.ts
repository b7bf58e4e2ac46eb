import { type ExpressionNode, textOf } from './expression-node.ts';
import type { Outcome } from './outcome.ts';
import { type GeneratedQuery, queryText } from './query.ts';

/** Errors that depend on the values that an expression meets, not on how it is written. */
const DATA_ERRORS: ReadonlySet<string> = new Set(['DIVISION_BY_ZERO', 'VALUE_OUT_OF_RANGE', 'INVALID_TEXT', 'INVALID_ARGUMENT']);

/** Rows that a table has at most, by their keys. */
const ROW_KEYS: readonly number[] = Array.from({ length: 24 }, (_, index) => index + 1);

/** Runs a query on both executors; they read the table under different names. */
export type RunBoth = (select: (table: string) => string) => Promise<readonly [Outcome, Outcome]>;

/**
 * Whether a difference in errors comes only of what is evaluated, and when. SQL does not say in which order the parts of a
 * query are evaluated, nor whether those whose value does not matter are (`x / 0 > NULL`, constants under a WHERE that keeps
 * no row). So a query in which a part, taken by itself, is refused by both with the same error may be refused by one, or
 * with another error. Every part is tried by itself too, which leaves nothing untested. And aggregates of a group that HAVING or LIMIT
 * leaves out may be computed or not: hence the query without them.
 */
export async function isOnlyOrder(query: GeneratedQuery, [one, two]: readonly [Outcome, Outcome], run: RunBoth): Promise<boolean> {
  const codes = [one, two].flatMap((outcome) => (outcome.kind === 'error' ? [outcome.code] : []));
  if (!codes.some((code) => DATA_ERRORS.has(code))) return false;
  if (isRefusal(await run((table) => queryText({ ...query, having: undefined, sort: undefined, limit: '' }, table)))) return true;
  const roots = [...query.items, query.where, query.having].filter((root) => root !== undefined);
  for (const text of new Set(roots.flatMap(partsOf).map(textOf))) {
    if (isRefusal(await run((table) => `SELECT ${text} AS o1 FROM ${table}`))) return true;
    if (isRefusal(await run(() => `SELECT ${text} AS o1`))) return true;
    if (codes.length === 2 && (await agreesByRow(text, run))) return true;
  }
  return false;
}

/** Whether both refuse, and with the same error of the data. */
function isRefusal([a, b]: readonly [Outcome, Outcome]): boolean {
  return a.kind === 'error' && b.kind === 'error' && a.code === b.code && DATA_ERRORS.has(a.code);
}

/** Whether an expression is refused for several rows, and for each with the same error by both. */
async function agreesByRow(text: string, run: RunBoth): Promise<boolean> {
  const codes = new Set<string>();
  for (const key of ROW_KEYS) {
    const [a, b] = await run((table) => `SELECT ${text} AS o1 FROM ${table} WHERE id = ${key}`);
    if (a.kind !== b.kind || (a.kind === 'error' && b.kind === 'error' && a.code !== b.code)) return false;
    if (a.kind === 'error') codes.add(a.code);
  }
  return codes.size > 1;
}

function partsOf(node: ExpressionNode): readonly ExpressionNode[] {
  return [node, ...node.parts.flatMap(partsOf)];
}
