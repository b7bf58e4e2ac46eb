import { quoteName } from './duckdb-text.ts';
import type { Output, QueryText } from './scope.ts';
import { shown } from './shown-text.ts';
import type { Plan } from './unit.ts';

/** A whole query whose columns are of types of the dialect; a SELECT has seen to that itself, beside its ORDER BY. */
export function shownQuery(query: QueryText, plan: Plan): QueryText {
  if (query.outputs.every(({ piece: { typed } }) => typed !== undefined)) return query;
  const alias = plan.fresh('q');
  const names = query.outputs.map((_, index) => `c${index}`);
  const outputs = query.outputs.map((output, index): Output => {
    return { ...output, piece: shown({ ...output.piece, text: `"${alias}"."c${index}"` }) };
  });
  const items = outputs.map(({ name, piece }) => `${piece.text} AS ${quoteName(name)}`);
  return { text: `SELECT ${items.join(', ')} FROM (${query.text}) AS "${alias}"(${names.join(', ')})`, outputs };
}
