import type { Node } from 'libpg-query';
import { nameText } from '../parser/postgres/converter.ts';
import type { Place } from './scope.ts';

/** A text as a constant, as `quoteText` writes it. */
const TEXT_CONSTANT = /^'(?:[^']|'')*'$/;

/** What a sort key becomes with its direction; NULLs are last when ascending, first when descending, as PostgreSQL has it. */
export function sortedText(key: string, item: Node, place: Place): string {
  if (!('SortBy' in item)) return place.unit.missing('this ORDER BY', undefined);
  const { sortby_dir, sortby_nulls, location } = item.SortBy;
  const operator = sortby_dir === 'SORTBY_USING' ? nameText(item.SortBy.useOp?.at(-1)) : undefined;
  if (operator !== undefined && operator !== '<' && operator !== '>') return place.unit.missing(`ORDER BY USING ${operator}`, location);
  const descending = sortby_dir === 'SORTBY_DESC' || operator === '>';
  const first = sortby_nulls === 'SORTBY_NULLS_FIRST' || (descending && sortby_nulls !== 'SORTBY_NULLS_LAST');
  // DuckDB refuses to sort by a constant as such: who asks, for one, or a parameter.
  const sorted = TEXT_CONSTANT.test(key) ? `CAST(${key} AS VARCHAR)` : key;
  return `${sorted} ${descending ? 'DESC' : 'ASC'} NULLS ${first ? 'FIRST' : 'LAST'}`;
}

/** An entry of ORDER BY in which numbers and aliases mean nothing: of a window or an aggregate. */
export function writeSorted(item: Node, place: Place): string {
  if (!('SortBy' in item) || item.SortBy.node === undefined) return place.unit.missing('this ORDER BY', undefined);
  return sortedText(place.writer.expression(item.SortBy.node, place).text, item, place);
}
