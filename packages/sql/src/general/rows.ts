import { kalamError, plainType } from '@kalamdb/protocol';
import type { Node } from 'libpg-query';
import type { ComparisonOperator } from '../expression/comparison.ts';
import { writeComparison } from './meeting.ts';
import { type Piece, piece, rowPiece } from './piece.ts';
import type { Place } from './scope.ts';

const boolean = plainType('boolean');

/** The entries of a row as written, `(a, b)` or `ROW(a, b)`; `undefined`: another expression. */
export function rowEntries(node: Node | undefined): readonly Node[] | undefined {
  return node !== undefined && 'RowExpr' in node ? (node.RowExpr.args ?? []) : undefined;
}

/** Comparison of two rows as written: entry by entry, the first that differs or is NULL decides. */
export function writeRowComparison(operator: ComparisonOperator, left: readonly Node[], right: readonly Node[], place: Place): Piece {
  if (left.length !== right.length) throw kalamError('INVALID_OPERATION', { reason: 'unequal number of entries in row expressions' });
  const [lefts, rights] = [left, right].map((nodes) => nodes.map((node) => place.writer.expression(node, place)));
  const pairs = (lefts ?? []).flatMap((a, index) => {
    const b = rights?.[index];
    return b === undefined ? [] : [{ a, b }];
  });
  const one = (sign: ComparisonOperator, { a, b }: { readonly a: Piece; readonly b: Piece }): string =>
    writeComparison(sign, a, b, place).text;
  if (operator === '=' || operator === '<>') {
    const equal = `(${pairs.map((pair) => one('=', pair)).join(' AND ')})`;
    return piece(operator === '=' ? equal : `(NOT ${equal})`, boolean);
  }
  const strict = operator.startsWith('<') ? '<' : '>';
  const written = pairs.reduceRight<string | undefined>((rest, pair) => {
    if (rest === undefined) return one(operator, pair);
    return `(${one(strict, pair)} OR (${one('=', pair)} AND ${rest}))`;
  }, undefined);
  return piece(written ?? 'true', boolean);
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
