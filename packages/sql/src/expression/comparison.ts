import { type DataType, kalamError, plainType, sqlTypeName } from '@kalamdb/protocol';
import type { Position } from '../statement/ast.ts';
import { coerce, commonType } from './common-type.ts';
import { comparer } from './comparers.ts';
import { isFloating, isNumeric, representation } from './type-families.ts';
import { operation, type Typed, type ValueNode } from './typed.ts';
import { coerceValue, type Intent, valueFits } from './value.ts';

/** The operators that compare two values. */
export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';

const MIRRORED: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/** How a value between two neighbours of an exact type is moved to one of them so that the comparison keeps its answer. */
const INTENTS: Readonly<Record<ComparisonOperator, Intent>> = {
  '=': 'exact',
  '<>': 'exact',
  '<': 'ceil',
  '>=': 'ceil',
  '<=': 'floor',
  '>': 'floor',
};

/** `left operator right` with SQL's NULL: unknown if either is NULL. Throws TYPE_MISMATCH for types that do not compare. */
export function comparison(operator: ComparisonOperator, left: Typed, right: Typed, position: Position): Typed {
  if (left.kind === 'value' && right.kind !== 'value') return comparison(MIRRORED[operator], right, left, position);
  const [a, b] = meet(left, right, INTENTS[operator]);
  if (a.type.kind === 'embedding' && operator !== '=' && operator !== '<>') throw incomparable(a.type, b.type);
  return operation({
    name: operator,
    type: plainType('boolean'),
    operands: [a, b],
    position,
    build: comparer(operator, a.type),
  });
}

/** Both operands in the one type they are compared in. A literal or parameter on the right is moved as `intent` says. */
export function meet(left: Typed, right: Typed, intent: Intent): readonly [Typed, Typed] {
  if (left.kind === 'value' && right.kind === 'value') return meetValues(left, right);
  if (right.kind === 'value') {
    const target = comparedType(left.type, right);
    return [coerce(left, widened(left.type, target), 'implicit'), coerceValue(right, target, intent)];
  }
  const type = commonType(left.type, right.type);
  if (type === undefined) throw incomparable(left.type, right.type);
  return [representedAs(left, type), representedAs(right, type)];
}

/** Integers and floating-point numbers of one representation compare as they are. */
function representedAs(node: Typed, type: DataType): Typed {
  const exact = node.type.kind === 'decimal' || type.kind === 'decimal';
  return !exact && isNumeric(node.type) && representation(node.type) === representation(type) ? node : coerce(node, type, 'implicit');
}

/** What a literal or parameter is turned into when it is compared with a value of `type`. */
function comparedType(type: DataType, value: ValueNode): DataType {
  if ((value.literal === 'integer' || value.literal === 'decimal') && isFloating(type)) return plainType('double');
  if (!valueFits(value, type, 'exact')) throw incomparable(type, value.type);
  return type;
}

function widened(type: DataType, target: DataType): DataType {
  return isFloating(type) && isFloating(target) ? type : target;
}

function meetValues(left: ValueNode, right: ValueNode): readonly [Typed, Typed] {
  const target = literalsMeetIn(left, right);
  if (!valueFits(left, target, 'implicit') || !valueFits(right, target, 'implicit')) throw incomparable(left.type, right.type);
  return [coerceValue(left, target, 'implicit'), coerceValue(right, target, 'implicit')];
}

function literalsMeetIn(left: ValueNode, right: ValueNode): DataType {
  const kinds = new Set([left.literal, right.literal]);
  if (kinds.has('decimal')) return plainType('double');
  if (kinds.has('integer')) return plainType('bigint');
  return plainType(kinds.has('boolean') ? 'boolean' : 'text');
}

function incomparable(a: DataType, b: DataType): Error {
  return kalamError('TYPE_MISMATCH', { reason: `cannot compare ${sqlTypeName(a)} with ${sqlTypeName(b)}` });
}
