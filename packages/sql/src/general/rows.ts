import { kalamError, plainType } from '@kalamdb/protocol';
import type { Node } from 'libpg-query';
import type { ComparisonOperator } from '../expression/comparison.ts';
import { quoteName } from './duckdb-text.ts';
import { writeComparison } from './meeting.ts';
import { type Piece, piece, referredTo, rowPiece } from './piece.ts';
import type { Place, QueryText } from './scope.ts';

const boolean = plainType('boolean');

/** The entries of a row as written, `(a, b)` or `ROW(a, b)`; `undefined`: another expression. */
export function rowEntries(node: Node | undefined): readonly Node[] | undefined {
  return node !== undefined && 'RowExpr' in node ? (node.RowExpr.args ?? []) : undefined;
}

/** Comparison of two rows as written. */
export function writeRowComparison(operator: ComparisonOperator, left: readonly Node[], right: readonly Node[], place: Place): Piece {
  if (left.length !== right.length) throw kalamError('INVALID_OPERATION', { reason: 'unequal number of entries in row expressions' });
  const [lefts = [], rights = []] = [left, right].map((nodes) => nodes.map((node) => place.writer.expression(node, place)));
  return piece(comparedRows(operator, lefts, rights, place), boolean);
}

/** Two rows of one length compared entry by entry: the first that differs or is NULL decides. */
function comparedRows(operator: ComparisonOperator, lefts: readonly Piece[], rights: readonly Piece[], place: Place): string {
  const pairs = lefts.flatMap((a, index) => {
    const b = rights[index];
    return b === undefined ? [] : [{ a, b }];
  });
  const one = (sign: ComparisonOperator, { a, b }: { readonly a: Piece; readonly b: Piece }): string =>
    writeComparison(sign, a, b, place).text;
  if (operator === '=' || operator === '<>') {
    const equal = `(${pairs.map((pair) => one('=', pair)).join(' AND ')})`;
    return operator === '=' ? equal : `(NOT ${equal})`;
  }
  const strict = operator.startsWith('<') ? '<' : '>';
  const written = pairs.reduceRight<string | undefined>((rest, pair) => {
    if (rest === undefined) return one(operator, pair);
    return `(${one(strict, pair)} OR (${one('=', pair)} AND ${rest}))`;
  }, undefined);
  return written ?? 'true';
}

/**
 * `(a, b) = ANY (SELECT …)` and its kin. DuckDB would compare the rows as structs, in which NULLs are values; so the rows of the subquery are
 * compared one by one. For `= ANY`, which is IN, and `<> ALL`, which is NOT IN, what is equal is found by a hash; only rows with a NULL in
 * them, on either side, have to be held against all others.
 */
export function writeRowQuantified(
  { operator, all }: { readonly operator: ComparisonOperator; readonly all: boolean },
  lefts: readonly Piece[],
  query: QueryText,
  place: Place,
): Piece {
  const alias = quoteName(place.unit.plan.fresh('q'));
  const rights = query.outputs.map(({ piece: of, inner }) => referredTo(of, `${alias}.${quoteName(inner)}`));
  const compared = comparedRows(operator, lefts, rights, place);
  if (operator !== (all ? '<>' : '=')) {
    const met = all ? `(NOT ${compared})` : compared;
    const outcome = `CASE WHEN bool_or(m) THEN true WHEN bool_or(m IS NULL) THEN NULL ELSE false END`;
    const some = `(SELECT ${outcome} FROM (SELECT ${met} AS m FROM (${query.text}) AS ${alias}) AS ${quoteName(place.unit.plan.fresh('q'))})`;
    return piece(all ? `(NOT ${some})` : some, boolean);
  }
  const exists = (condition: string): string => `EXISTS (SELECT 1 FROM (${query.text}) AS ${alias} WHERE ${condition})`;
  const pairs = lefts.map((left, index) => ({ left, right: rights[index] ?? left }));
  const isEqual = pairs.map(({ left, right }) => writeComparison('=', left, right, place).text);
  const isOpen = isEqual.map((equal, index) => `(${equal} OR ${pairs[index]?.left.text} IS NULL OR ${pairs[index]?.right.text} IS NULL)`);
  const withNull = [lefts, rights].map((row) => row.filter(mayBeNull).map(({ text }) => `${text} IS NULL`));
  const open = withNull.filter((nulls) => nulls.length > 0).map((nulls) => exists(`(${nulls.join(' OR ')}) AND ${isOpen.join(' AND ')}`));
  const found = exists(isEqual.join(' AND '));
  const any = open.length === 0 ? found : `(CASE WHEN ${found} THEN true WHEN ${open.join(' OR ')} THEN NULL ELSE false END)`;
  return piece(all ? `(NOT ${any})` : any, boolean);
}

/** A column that takes no NULLs may have come through an outer join. */
function mayBeNull({ typed }: Piece): boolean {
  return typed?.kind !== 'value' || typed.literal === 'null';
}

/** `ROW(a, b) IS NULL`: all of it is; `IS NOT NULL`: nothing of it is. */
export function writeRowNullTest(nodes: readonly Node[], negated: boolean, place: Place): Piece {
  const parts = nodes.map((node) => `${place.writer.expression(node, place).text} IS ${negated ? 'NOT ' : ''}NULL`);
  return piece(parts.length === 0 ? 'true' : `(${parts.join(' AND ')})`, boolean);
}

/** A row as written. */
export function writeRow(nodes: readonly Node[], place: Place): Piece {
  if (nodes.length === 0) return place.unit.missing('an empty row', undefined);
  return rowPiece(nodes.map((node, index) => ({ name: `f${index + 1}`, piece: place.writer.expression(node, place) })));
}
