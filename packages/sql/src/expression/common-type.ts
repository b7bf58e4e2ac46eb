import { type DataType, kalamError, plainType, sameType, sqlTypeName } from '@kalamdb/protocol';
import { conversion, type Purpose } from './conversion.ts';
import { decimalType } from './numeric.ts';
import { isFloating, isInstant, isInteger, isNumeric, isTextual } from './type-families.ts';
import { operation, type Typed, type ValueNode } from './typed.ts';
import { coerceValue, mismatch, valueFits } from './value.ts';

const INTEGER_DIGITS: Partial<Record<DataType['kind'], number>> = { smallint: 5, int: 10, bigint: 19 };

/** An exact numeric type as a decimal; integers have as many digits as their widest value. */
export function asDecimal(type: DataType): { readonly precision: number; readonly scale: number } {
  if (type.kind === 'decimal') return type;
  return { precision: INTEGER_DIGITS[type.kind] ?? 19, scale: 0 };
}

/** The type that values of both types can meet in without losing their meaning; `undefined` if there is none. */
export function commonType(a: DataType, b: DataType): DataType | undefined {
  if (sameType(a, b)) return a;
  if (isNumeric(a) && isNumeric(b)) return commonNumericType(a, b);
  if (isTextual(a) && isTextual(b)) return plainType('text');
  if (isInstant(a) && isInstant(b)) return a;
  if (isInstant(a) && b.kind === 'date') return a;
  if (a.kind === 'date' && isInstant(b)) return b;
  return undefined;
}

function commonNumericType(a: DataType, b: DataType): DataType {
  if (isFloating(a) || isFloating(b)) return a.kind === 'float' && b.kind === 'float' ? a : plainType('double');
  if (isInteger(a) && isInteger(b)) return (INTEGER_DIGITS[a.kind] ?? 0) >= (INTEGER_DIGITS[b.kind] ?? 0) ? a : b;
  const left = asDecimal(a);
  const right = asDecimal(b);
  const scale = Math.max(left.scale, right.scale);
  return decimalType(Math.max(left.precision - left.scale, right.precision - right.scale) + scale, scale);
}

/** The type a number literal or parameter has beside others: exact beside a decimal, else as it stands alone. */
export function valueType(node: ValueNode, besideDecimal: boolean): DataType {
  return node.literal === 'decimal' && besideDecimal ? decimalType(19 + node.scale, node.scale) : node.type;
}

/**
 * The one type for the branches of CASE, COALESCE and their like: that of the typed ones; texts and NULLs as written adapt
 * to it. Throws TYPE_MISMATCH.
 */
export function unifiedType(nodes: readonly Typed[], where: string): DataType {
  const besideDecimal = nodes.some((node) => node.kind !== 'value' && node.type.kind === 'decimal');
  let type: DataType | undefined;
  for (const node of nodes) {
    if (node.kind === 'value' && (node.literal === 'string' || node.literal === 'null')) continue;
    const own = node.kind === 'value' ? valueType(node, besideDecimal) : node.type;
    const met: DataType | undefined = type === undefined ? own : commonType(type, own);
    if (met === undefined) throw noCommonType(where, type ?? own, own);
    type = met;
  }
  return type ?? plainType('text');
}

function noCommonType(where: string, a: DataType, b: DataType): Error {
  return kalamError('TYPE_MISMATCH', { reason: `${where}: types ${sqlTypeName(a)} and ${sqlTypeName(b)} cannot be matched` });
}

/** Whether {@link coerce} would succeed. */
export function coercible(node: Typed, target: DataType, purpose: Purpose): boolean {
  return node.kind === 'value' ? valueFits(node, target, purpose) : conversion(node.type, target, purpose) !== undefined;
}

/** The expression as a value of another type. Throws TYPE_MISMATCH when there is no conversion for the purpose. */
export function coerce(node: Typed, target: DataType, purpose: Purpose): Typed {
  if (node.kind === 'value') return coerceValue(node, target, purpose);
  if (sameType(node.type, target)) return node;
  const convert = conversion(node.type, target, purpose);
  if (convert === undefined) throw mismatch(node.type, target);
  return operation({
    name: 'convert',
    type: target,
    operands: [node],
    position: node.position,
    build: (operand) => (row, context) => {
      const cell = operand(row, context);
      return cell === null ? null : convert(cell);
    },
  });
}
