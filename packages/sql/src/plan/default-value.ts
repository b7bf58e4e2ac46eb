import { type Cell, type DataType, sameType } from '@kalamdb/protocol';
import { coerce } from '../expression/common-type.ts';
import { functionCall } from '../expression/functions/registry.ts';
import type { EvalContext } from '../expression/input-row.ts';
import type { Typed } from '../expression/typed.ts';
import { literalNode } from '../expression/value.ts';
import type { DefaultValue } from '../statement/ast.ts';
import { evaluateFixed } from './key-lookup.ts';

const bound = new WeakMap<DefaultValue, { readonly type: DataType; readonly node: Typed }>();

/** The default as an expression of the column's type. Throws what the coercion throws. */
export function defaultNode(value: DefaultValue, type: DataType): Typed {
  const known = bound.get(value);
  if (known !== undefined && sameType(known.type, type)) return known.node;
  const written = value.kind === 'literal' ? literalNode(value.literal, value.text, 0) : functionCall(value.name.toLowerCase(), [], 0);
  const node = coerce(written, type, 'assignment');
  bound.set(value, { type, node });
  return node;
}

/** The cell that a default gives to one row: ids are fresh with each call, NOW() is the statement's time. */
export function evaluateDefault(value: DefaultValue, type: DataType, context: EvalContext): Cell {
  return evaluateFixed(defaultNode(value, type), context);
}

/** Checks that a default can fill a column of the type. Throws TYPE_MISMATCH, INVALID_TEXT or VALUE_OUT_OF_RANGE. */
export function checkDefault(value: DefaultValue, type: DataType): void {
  defaultNode(value, type);
}
