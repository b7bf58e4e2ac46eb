import { plainType } from '@kalamdb/protocol';
import { unifiedType } from '../expression/common-type.ts';
import { type ComparisonOperator, comparison } from '../expression/comparison.ts';
import { documentPiece, type Piece, piece, standIn } from './piece.ts';
import type { Place } from './scope.ts';

const boolean = plainType('boolean');

/** Whether an operator compares. */
export function isComparison(operator: string): operator is ComparisonOperator {
  return operator === '=' || operator === '<>' || operator === '<' || operator === '<=' || operator === '>' || operator === '>=';
}

/** Pieces in the one type that they have in common. */
export interface Unified {
  readonly texts: readonly string[];
  /** A piece of that type. */
  as(text: string): Piece;
}

/** See {@link Unified}. Throws TYPE_MISMATCH. */
export function unified(pieces: readonly Piece[], where: string, { unit }: Place): Unified {
  const nodes = pieces.flatMap(({ typed }) => (typed === undefined ? [] : [typed]));
  const foreign = pieces.find(({ typed }) => typed === undefined);
  if (foreign !== undefined) {
    return { texts: pieces.map(({ text }) => text), as: (text) => ({ ...foreign, text, column: undefined }) };
  }
  const type = unifiedType(nodes, where);
  const documents = pieces.every((of) => of.document === true);
  return { texts: pieces.map((of) => unit.values.as(of, type)), as: (text) => (documents ? documentPiece(text, type) : piece(text, type)) };
}

/** `left operator right`, typed and coerced as the compiled executor does it. */
export function writeComparison(operator: ComparisonOperator, left: Piece, right: Piece, { unit }: Place): Piece {
  if (left.typed === undefined || right.typed === undefined) return piece(`(${left.text} ${operator} ${right.text})`, boolean);
  const node = comparison(operator, left.typed, right.typed, 0);
  const swapped = left.typed.kind === 'value' && right.typed.kind !== 'value';
  const [a = '', b = ''] = unit.values.operands(node, swapped ? [right, left] : [left, right]);
  return piece(`(${a} ${node.kind === 'operation' ? node.name : operator} ${b})`, boolean);
}

/** The piece in the type that it has by itself: a value as written becomes an ordinary one. */
export function settled(of: Piece): Piece {
  return of.typed?.kind === 'value' ? { ...of, typed: standIn(of.typed.type) } : of;
}
