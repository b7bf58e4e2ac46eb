import { compareCells, type DataType } from '@kalamdb/protocol';
import type { ComparisonOperator } from './comparison.ts';
import { representation } from './type-families.ts';
import type { Evaluator } from './typed.ts';

/** Makes the closure that compares two operands of one type. */
export type Comparer = (left: Evaluator, right: Evaluator) => Evaluator;

type Table = Readonly<Record<ComparisonOperator, Comparer>>;

/*
 * Each operator has a text of its own for each representation: a closure that is shared between numbers, bigints and
 * strings, or that calls a function for the operator, costs three times as much per row.
 */
const NUMBERS: Table = {
  '=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as number) === (b as number);
  },
  '<>': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as number) !== (b as number);
  },
  '<': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as number) < (b as number);
  },
  '<=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as number) <= (b as number);
  },
  '>': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as number) > (b as number);
  },
  '>=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as number) >= (b as number);
  },
};

const BIGINTS: Table = {
  '=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as bigint) === (b as bigint);
  },
  '<>': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as bigint) !== (b as bigint);
  },
  '<': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as bigint) < (b as bigint);
  },
  '<=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as bigint) <= (b as bigint);
  },
  '>': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as bigint) > (b as bigint);
  },
  '>=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as bigint) >= (b as bigint);
  },
};

const STRINGS: Pick<Table, '=' | '<>'> = {
  '=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as string) === (b as string);
  },
  '<>': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as string) !== (b as string);
  },
};

const BOOLEANS: Pick<Table, '=' | '<>'> = {
  '=': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as boolean) === (b as boolean);
  },
  '<>': (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : (a as boolean) !== (b as boolean);
  },
};

const HOLDS: Readonly<Record<ComparisonOperator, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

function ordered(operator: ComparisonOperator, type: DataType): Comparer {
  const compare = compareCells(type);
  const holds = HOLDS[operator];
  return (left, right) => (row, context) => {
    const a = left(row, context);
    const b = right(row, context);
    return a === null || b === null ? null : holds(compare(a, b));
  };
}

/** The comparer for an operator on two cells of `type`: NULL if either is NULL. */
export function comparer(operator: ComparisonOperator, type: DataType): Comparer {
  const kind = representation(type);
  if (kind === 'number') return NUMBERS[operator];
  if (kind === 'bigint') return BIGINTS[operator];
  if (operator === '=' || operator === '<>') {
    if (kind === 'string') return STRINGS[operator];
    if (kind === 'boolean') return BOOLEANS[operator];
  }
  return ordered(operator, type);
}
