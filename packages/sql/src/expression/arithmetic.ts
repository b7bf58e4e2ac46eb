import { type DataType, kalamError, plainType, sqlTypeName } from '@kalamdb/protocol';
import type { Position } from '../statement/ast.ts';
import { asDecimal, coerce, valueType } from './common-type.ts';
import { decimalInRange, decimalType, finite, float32, int64, powerOfTen, smallInteger } from './numeric.ts';
import { isFloating, isInstant, isInteger, isNumeric } from './type-families.ts';
import { type Evaluator, operation, type Typed } from './typed.ts';
import { negatedValue } from './value.ts';

/** The operators over numbers. */
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%';

/**
 * Arithmetic. Integers give BIGINT (overflow is VALUE_OUT_OF_RANGE, division cuts the fraction off); decimals are exact for
 * `+ - * %`, their quotient is a DOUBLE; FLOAT with FLOAT stays FLOAT; anything else is DOUBLE. A DATE moves by whole
 * days, and the difference of two dates is an INT. Division by zero is an error for every type.
 */
export function arithmetic(operator: ArithmeticOperator, left: Typed, right: Typed, position: Position): Typed {
  if (givesInterval(operator, left, right)) throw kalamError('NOT_IMPLEMENTED', { what: 'arithmetic with intervals in this place' });
  const dates = dateArithmetic(operator, left, right, position);
  if (dates !== undefined) return dates;
  const a = numericOperand(left, right);
  const b = numericOperand(right, left);
  if (isInteger(a.type) && isInteger(b.type)) return integers(operator, [a, b], position);
  if (isFloating(a.type) || isFloating(b.type) || operator === '/') return floats(operator, [a, b], position);
  return decimals(operator, [a, b], position);
}

/** Differences of times, and times moved by a text that is an interval: the general executor's. */
function givesInterval(operator: ArithmeticOperator, left: Typed, right: Typed): boolean {
  if (operator !== '+' && operator !== '-') return false;
  const isTime = ({ type }: Typed): boolean => isInstant(type) || type.kind === 'date' || type.kind === 'time';
  const isWritten = (node: Typed): boolean => node.kind === 'value' && node.literal === 'string';
  if (left.type.kind === 'date' && right.type.kind === 'date') return false;
  if (isTime(left) && isTime(right)) return operator === '-' || left.type.kind !== right.type.kind;
  const other = isTime(left) ? right : isTime(right) ? left : undefined;
  return other !== undefined && isWritten(other) && left.type.kind !== 'date' && right.type.kind !== 'date';
}

/** A number as written stays exact beside a decimal; a text as written becomes a number. */
function numericOperand(node: Typed, other: Typed): Typed {
  if (isNumeric(node.type) && node.kind !== 'value') return node;
  if (node.kind !== 'value' || node.literal === 'boolean') throw noOperator(node.type);
  if (node.literal === 'string' || node.literal === 'null') {
    if (isNumeric(other.type)) return coerce(node, isFloating(other.type) ? plainType('double') : other.type, 'implicit');
    if (node.literal === 'null') return coerce(node, plainType('bigint'), 'implicit');
    throw noOperator(node.type);
  }
  return coerce(node, valueType(node, other.kind !== 'value' && other.type.kind === 'decimal'), 'implicit');
}

function noOperator(type: DataType): Error {
  return kalamError('TYPE_MISMATCH', { reason: `no arithmetic with a value of type ${sqlTypeName(type)}` });
}

type Operands = readonly [Typed, Typed];

function integers(operator: ArithmeticOperator, operands: Operands, position: Position): Typed {
  const compute = INTEGERS[operator];
  const bigint = plainType('bigint');
  const wide = operands.map((node) => coerce(node, bigint, 'implicit'));
  return binary({ operator, type: bigint, operands: wide, position, compute });
}

function zero(): never {
  throw kalamError('DIVISION_BY_ZERO');
}

const INTEGERS: Readonly<Record<ArithmeticOperator, (a: bigint, b: bigint) => bigint>> = {
  '+': (a, b) => int64(a + b),
  '-': (a, b) => int64(a - b),
  '*': (a, b) => int64(a * b),
  '/': (a, b) => (b === 0n ? zero() : int64(a / b)),
  '%': (a, b) => (b === 0n ? zero() : a % b),
};

const FLOATS: Readonly<Record<ArithmeticOperator, (a: number, b: number) => number>> = {
  '+': (a, b) => finite(a + b),
  '-': (a, b) => finite(a - b),
  '*': (a, b) => finite(a * b),
  '/': (a, b) => (b === 0 ? zero() : finite(a / b)),
  '%': (a, b) => (b === 0 ? zero() : a % b),
};

function floats(operator: ArithmeticOperator, operands: Operands, position: Position): Typed {
  const double = plainType('double');
  const [a, b] = operands;
  const compute = FLOATS[operator];
  if (a.type.kind === 'float' && b.type.kind === 'float') {
    return binary<number>({ operator, type: a.type, operands, position, compute: (x, y) => float32(compute(x, y)) });
  }
  return binary({ operator, type: double, operands: operands.map((node) => coerce(node, double, 'implicit')), position, compute });
}

function decimals(operator: ArithmeticOperator, operands: Operands, position: Position): Typed {
  const [a, b] = operands.map((node) => asDecimal(node.type));
  if (a === undefined || b === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'decimal arithmetic without operands' });
  const type = operator === '*' ? decimalType(a.precision + b.precision, a.scale + b.scale) : sumType(a, b);
  if (type.kind !== 'decimal' || (operator === '*' && type.scale < a.scale + b.scale)) return floats(operator, operands, position);
  const { precision, scale } = type;
  const factors = operator === '*' ? [1n, 1n] : [powerOfTen(scale - a.scale), powerOfTen(scale - b.scale)];
  const compute = DECIMALS[operator];
  const [left = 1n, right = 1n] = factors;
  return binary<bigint | number>({
    operator,
    type,
    operands,
    position,
    compute: (x, y) => decimalInRange(compute(BigInt(x) * left, BigInt(y) * right), precision, scale),
  });
}

function sumType(a: ReturnType<typeof asDecimal>, b: ReturnType<typeof asDecimal>): DataType {
  const scale = Math.max(a.scale, b.scale);
  return decimalType(Math.max(a.precision - a.scale, b.precision - b.scale) + scale + 1, scale);
}

const DECIMALS: Readonly<Record<ArithmeticOperator, (a: bigint, b: bigint) => bigint>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0n ? zero() : a / b),
  '%': (a, b) => (b === 0n ? zero() : a % b),
};

interface BinarySpec<T> {
  readonly operator: string;
  readonly type: DataType;
  readonly operands: readonly Typed[];
  readonly position: Position;
  readonly compute: (a: T, b: T) => bigint | number;
}

function binary<T extends bigint | number>({ operator, type, operands, position, compute }: BinarySpec<T>): Typed {
  return operation({
    name: operator,
    type,
    operands,
    position,
    build: (left: Evaluator, right: Evaluator) => (row, context) => {
      const a = left(row, context);
      const b = right(row, context);
      return a === null || b === null ? null : compute(a as T, b as T);
    },
  });
}

function dateArithmetic(operator: ArithmeticOperator, left: Typed, right: Typed, position: Position): Typed | undefined {
  const [a, b] = [left.type.kind, right.type.kind];
  if (a !== 'date' && !(b === 'date' && operator === '+')) return undefined;
  if (a !== 'date') return dateArithmetic(operator, right, left, position);
  if (operator !== '+' && operator !== '-') throw noOperator(left.type);
  const sign = operator === '+' ? 1 : -1;
  const other =
    right.kind === 'value' && right.literal === 'string'
      ? coerce(right, operator === '-' ? left.type : plainType('int'), 'implicit')
      : right;
  if (other.type.kind === 'date' && operator === '-') {
    return binary<number>({
      operator,
      type: plainType('int'),
      operands: [left, other],
      position,
      compute: (x, y) => smallInteger(x - y, 'int'),
    });
  }
  if (!isInteger(other.type)) throw noOperator(other.type);
  return binary<number | bigint>({
    operator,
    type: left.type,
    operands: [left, other],
    position,
    compute: (x, y) => smallInteger(Number(x) + sign * Number(y), 'int'),
  });
}

/** Unary minus. The type stays; the least SMALLINT, INT and BIGINT have no opposite. */
export function negation(operand: Typed, position: Position): Typed {
  if (operand.kind === 'value') {
    const negated = negatedValue(operand);
    if (negated !== undefined) return negated;
    if (operand.literal === 'null') return operand;
    if (operand.literal !== 'string') throw noOperator(operand.type);
    return negation(coerce(operand, plainType('double'), 'implicit'), position);
  }
  const { type } = operand;
  if (!isNumeric(type)) throw noOperator(type);
  const negate = negator(type);
  return operation({
    name: 'negate',
    type,
    operands: [operand],
    position,
    build: (inner) => (row, context) => {
      const cell = inner(row, context);
      return cell === null ? null : negate(cell as number | bigint);
    },
  });
}

function negator(type: DataType): (cell: number | bigint) => number | bigint {
  if (type.kind === 'bigint') return (cell) => int64(-cell as bigint);
  if (type.kind === 'smallint' || type.kind === 'int') {
    const { kind } = type;
    return (cell) => smallInteger(0 - Number(cell), kind);
  }
  return (cell) => -cell;
}

/** Unary plus: the operand, which must be a number. */
export function identity(operand: Typed): Typed {
  if (!isNumeric(operand.type) && operand.kind !== 'value') throw noOperator(operand.type);
  return operand;
}
