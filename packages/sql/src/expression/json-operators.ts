import { type Cell, kalamError, plainType, sqlTypeName } from '@kalamdb/protocol';
import type { Position } from '../statement/ast.ts';
import { coerce } from './common-type.ts';
import { jsonArrow, jsonExists, jsonTextArrow } from './functions/json-functions.ts';
import { isInteger, isTextual } from './type-families.ts';
import { operation, type Typed } from './typed.ts';

/** `->` and `->>` take a key (TEXT) or an index (INT; negative: from the end), `?` takes a key. */
export function jsonOperator(operator: '->' | '->>' | '?', left: Typed, right: Typed, position: Position): Typed {
  const document = left.kind === 'value' ? coerce(left, plainType('json'), 'implicit') : left;
  if (!isTextual(document.type)) throw noOperator(operator, left);
  const step = stepOf(operator, right);
  const type = plainType(operator === '?' ? 'boolean' : 'text');
  const operands = [document, step];
  if (operator === '?') {
    return operation({
      name: operator,
      type,
      operands,
      position,
      build: (a, b) => (row, context) => jsonExists(a(row, context), b(row, context) as string | null),
    });
  }
  const apply: (document: string, step: string | bigint) => Cell = operator === '->' ? jsonArrow : jsonTextArrow;
  return operation({
    name: operator,
    type,
    operands,
    position,
    build: (a, b) => (row, context) => {
      const cell = a(row, context);
      const found = b(row, context);
      return cell === null || found === null ? null : apply(cell as string, found as string | bigint);
    },
  });
}

/**
 * `||` joins texts; of two documents, and of one and a text as written, PostgreSQL makes one document. What it would make of them as texts is
 * none: TYPE_MISMATCH.
 */
export function refuseJoinedDocuments(left: Typed, right: Typed): void {
  const isDocument = (node: Typed): boolean => node.type.kind === 'json';
  const isWritten = (node: Typed): boolean => node.kind === 'value' && node.literal === 'string';
  if ((isDocument(left) && (isDocument(right) || isWritten(right))) || (isDocument(right) && isWritten(left)))
    throw kalamError('TYPE_MISMATCH', { reason: '|| does not merge documents; cast them to TEXT to join them as texts' });
}

function stepOf(operator: string, node: Typed): Typed {
  if (isTextual(node.type)) return coerce(node, plainType('text'), 'implicit');
  if (isInteger(node.type) && operator !== '?') return coerce(node, plainType('bigint'), 'implicit');
  throw noOperator(operator, node);
}

function noOperator(operator: string, node: Typed): Error {
  return kalamError('TYPE_MISMATCH', { reason: `the operator ${operator} does not take a value of type ${sqlTypeName(node.type)}` });
}
