import { type Cell, type DataType, kalamError, plainType } from '@kalamdb/protocol';
import { decimalInRange, decimalType, finite, int64, parseExact, powerOfTen, type Rounding, rescale, smallInteger } from '../numeric.ts';
import type { Typed } from '../typed.ts';
import type { FunctionFamily, FunctionOverload } from './function-spec.ts';

const double = plainType('double');

function typeOfFirst(operands: readonly Typed[]): DataType {
  return operands[0]?.type ?? double;
}

/** Rounds the shortest decimal text of a double, so that 1.005 with 2 digits is 1.01. What is left of a number below 0 is below 0, or -0. */
function roundDouble(value: number, digits: number, rounding: Rounding): number {
  const scale = Math.max(-308, Math.min(digits, 308));
  const exact = parseExact(String(Math.abs(value)));
  if (exact === undefined || exact.unscaled === 0n || scale >= exact.scale) return value;
  const sign = value < 0 ? -1 : 1;
  if (scale >= 0) return sign * Number(`${rescale(exact, scale, rounding) ?? 0n}e-${scale}`);
  const shifted = rescale({ unscaled: exact.unscaled, scale: exact.scale - scale }, 0, rounding) ?? 0n;
  return sign * finite(Number(shifted * powerOfTen(-scale)));
}

function wholeDecimalType(operands: readonly Typed[]): DataType {
  const type = typeOfFirst(operands);
  return type.kind === 'decimal' ? decimalType(type.precision - type.scale + 1, 0) : type;
}

/** `round(decimal)`, `ceil(decimal)` …: a decimal without fraction. */
function wholeDecimal(rounding: Rounding): FunctionOverload {
  return {
    arguments: ['decimal'],
    result: wholeDecimalType,
    body: {
      make:
        ([type]) =>
        (unscaled: bigint) =>
          rescale({ unscaled, scale: scaleOf(type) }, 0, rounding) ?? 0n,
    },
  };
}

/** A decimal with room for the digit that rounding may add in front: 99.99 to one digit is 100.0. */
function roomierDecimalType(operands: readonly Typed[]): DataType {
  const type = typeOfFirst(operands);
  return type.kind === 'decimal' ? decimalType(type.precision + 1, type.scale) : type;
}

/** `round(decimal, digits)`: the scale stays, digits behind become 0. */
function decimalToDigits(rounding: Rounding): FunctionOverload {
  return {
    arguments: ['decimal', 'integer'],
    result: rounding === 'truncate' ? typeOfFirst : roomierDecimalType,
    body: {
      make:
        ([type]) =>
        (unscaled: bigint, digits: number | bigint) => {
          const scale = scaleOf(type);
          const kept = Math.max(-38, Math.min(Number(digits), scale));
          const cut = rescale({ unscaled, scale: scale - Math.min(0, kept) }, Math.max(0, kept), rounding) ?? 0n;
          const restored = cut * powerOfTen(scale - kept);
          return type?.kind === 'decimal' ? decimalInRange(restored, Math.min(type.precision + 1, 38), scale) : restored;
        },
    },
  };
}

function scaleOf(type: DataType | undefined): number {
  return type?.kind === 'decimal' ? type.scale : 0;
}

function rounded(rounding: Rounding): readonly FunctionOverload[] {
  return [
    wholeDecimal(rounding),
    decimalToDigits(rounding),
    { arguments: ['number'], result: double, body: { run: (value: number) => roundDouble(value, 0, rounding) } },
    {
      arguments: ['number', 'integer'],
      result: double,
      body: { run: (value: number, digits: number | bigint) => roundDouble(value, Number(digits), rounding) },
    },
  ];
}

function stepped(rounding: Rounding, run: (value: number) => number): readonly FunctionOverload[] {
  return [wholeDecimal(rounding), { arguments: ['number'], result: double, body: { run } }];
}

function domain(holds: boolean, reason: string): void {
  if (!holds) throw kalamError('INVALID_ARGUMENT', { reason });
}

function oneDouble(run: (value: number) => number): readonly FunctionOverload[] {
  return [{ arguments: ['number'], result: double, body: { run: (value: number) => finite(run(value)) } }];
}

function power(base: number, exponent: number): number {
  domain(base !== 0 || exponent >= 0, 'zero raised to a negative power is undefined');
  domain(base >= 0 || Number.isInteger(exponent), 'a negative number raised to a non-integer power yields a complex result');
  return finite(base ** exponent);
}

function logarithm(value: number): number {
  domain(value > 0, 'cannot take logarithm of zero or of a negative number');
  return Math.log10(value);
}

const powers: readonly FunctionOverload[] = [{ arguments: ['number', 'number'], result: double, body: { run: power } }];

const abs: readonly FunctionOverload[] = [
  {
    arguments: ['numeric'],
    result: typeOfFirst,
    body: {
      make: ([type]) => {
        if (type?.kind === 'bigint') return (value: bigint) => int64(value < 0n ? -value : value);
        if (type?.kind === 'decimal') return (value: bigint) => (value < 0n ? -value : value);
        if (type?.kind === 'smallint' || type?.kind === 'int') {
          const { kind } = type;
          return (value: number) => smallInteger(Math.abs(value), kind);
        }
        return (value: number): Cell => Math.abs(value);
      },
    },
  },
];

/** Functions over numbers. Unless said otherwise they compute in doubles. */
export const NUMBER_FUNCTIONS: FunctionFamily = {
  abs,
  round: rounded('half-away'),
  trunc: rounded('truncate'),
  ceil: stepped('ceil', Math.ceil),
  ceiling: stepped('ceil', Math.ceil),
  floor: stepped('floor', Math.floor),
  power: powers,
  pow: powers,
  sqrt: oneDouble((value) => {
    domain(value >= 0, 'cannot take square root of a negative number');
    return Math.sqrt(value);
  }),
  cbrt: oneDouble(Math.cbrt),
  exp: oneDouble(Math.exp),
  ln: oneDouble((value) => {
    domain(value > 0, 'cannot take logarithm of zero or of a negative number');
    return Math.log(value);
  }),
  log: [
    ...oneDouble(logarithm),
    {
      arguments: ['number', 'number'],
      result: double,
      body: { run: (base: number, value: number) => finite(logarithm(value) / logarithm(base)) },
    },
  ],
  log10: oneDouble(logarithm),
  log2: oneDouble((value) => {
    domain(value > 0, 'cannot take logarithm of zero or of a negative number');
    return Math.log2(value);
  }),
  sign: oneDouble(Math.sign),
  pi: [{ arguments: [], result: double, body: { run: () => Math.PI } }],
  degrees: oneDouble((value) => (value * 180) / Math.PI),
  radians: oneDouble((value) => (value * Math.PI) / 180),
  sin: oneDouble(Math.sin),
  cos: oneDouble(Math.cos),
  tan: oneDouble(Math.tan),
  asin: oneDouble(Math.asin),
  acos: oneDouble(Math.acos),
  atan: oneDouble(Math.atan),
  atan2: [{ arguments: ['number', 'number'], result: double, body: { run: (y: number, x: number) => Math.atan2(y, x) } }],
};
