import { type Cell, compareCells, type DataType, kalamError, type NonNullCell, plainType, sqlTypeName } from '@kalamdb/protocol';
import { coerce } from './common-type.ts';
import { toDouble } from './conversion.ts';
import type { EvalContext } from './input-row.ts';
import { decimalInRange, decimalToDouble, decimalType, finite, int64, powerOfTen } from './numeric.ts';
import { isFloating, isInteger, isNumeric, representation } from './type-families.ts';
import type { Predicate, Typed, ValueNode } from './typed.ts';

/** Integers are summed in a double while it stays below this, then moved into a bigint. */
const EXACT_SUM_MAX = 2 ** 52;

/** Longest text that `string_agg` makes, in UTF-16 units. */
const JOINED_UNITS_MAX = 16 * 1024 * 1024;

/** Cells that DISTINCT inside one aggregate holds at most, per group. */
const DISTINCT_CELLS_MAX = 1_000_000;

/** One accumulator for one group. `add` is called once per row that the aggregate takes, NULL arguments included. */
export interface Accumulator {
  add(cell: Cell): void;
  result(): Cell;
}

/** One aggregate call of a query. */
export interface AggregateCall {
  /** The argument; `undefined` for `COUNT(*)`. */
  readonly argument: Typed | undefined;
  /** `FILTER (WHERE …)`. */
  readonly filter: Predicate | undefined;
  /** `COUNT(*)` without FILTER: the executor only needs the number of rows. */
  readonly countsRows: boolean;
  /** What it gives depends on the order in which rows come. */
  readonly ordered?: boolean;
  start(context: EvalContext): Accumulator;
}

/** An aggregate as it was called; `arguments` are bound over the input row. */
export interface AggregateRequest {
  readonly name: string;
  readonly arguments: readonly Typed[];
  readonly star: boolean;
  readonly distinct: boolean;
  readonly filter: Predicate | undefined;
}

/** An aggregate with the type of its result. */
export interface BoundAggregate {
  readonly type: DataType;
  readonly call: AggregateCall;
}

interface Definition {
  readonly type: DataType;
  /** What the argument is turned into first. */
  readonly argument?: DataType;
  readonly ordered?: boolean;
  readonly start: (context: EvalContext) => Accumulator;
}

type Define = (type: DataType, request: AggregateRequest) => Definition;

const bigint = plainType('bigint');
const double = plainType('double');

/** COUNT of the values that are not NULL. */
class Count implements Accumulator {
  #count = 0;
  add(cell: Cell): void {
    if (cell !== null) this.#count += 1;
  }
  result(): Cell {
    return BigInt(this.#count);
  }
}

/** COUNT(*). */
class CountRows implements Accumulator {
  #count = 0;
  add(): void {
    this.#count += 1;
  }
  result(): Cell {
    return BigInt(this.#count);
  }
}

/** An exact sum of integers; small ones do not cost a bigint each. */
class IntegerSum {
  count = 0;
  #small = 0;
  #large = 0n;
  add(cell: number | bigint): void {
    this.count += 1;
    if (typeof cell === 'bigint') {
      this.#large += cell;
      return;
    }
    this.#small += cell;
    if (this.#small > EXACT_SUM_MAX || this.#small < -EXACT_SUM_MAX) {
      this.#large += BigInt(this.#small);
      this.#small = 0;
    }
  }
  total(): bigint {
    return this.#large + BigInt(this.#small);
  }
}

function sum(type: DataType): Definition {
  if (isFloating(type)) {
    return {
      type: double,
      start: () => {
        let total = 0;
        let any = false;
        return {
          add: (cell) => {
            if (cell === null) return;
            total += cell as number;
            any = true;
          },
          result: () => (any ? finite(total) : null),
        };
      },
    };
  }
  if (type.kind !== 'decimal' && !isInteger(type)) throw wrongArgument('SUM', type);
  const result = type.kind === 'decimal' ? decimalType(type.precision + 10, type.scale) : bigint;
  const check = result.kind === 'decimal' ? (total: bigint) => decimalInRange(total, result.precision, result.scale) : int64;
  return { type: result, start: () => integerSum((total) => check(total)) };
}

function integerSum(finish: (total: bigint, count: number) => Cell): Accumulator {
  const total = new IntegerSum();
  return {
    add: (cell) => {
      if (cell !== null) total.add(cell as number | bigint);
    },
    result: () => (total.count === 0 ? null : finish(total.total(), total.count)),
  };
}

function average(type: DataType): Definition {
  if (!isNumeric(type)) throw wrongArgument('AVG', type);
  if (isFloating(type)) return { type: double, start: () => moments(type, ({ count, mean }) => (count === 0 ? null : mean)) };
  const scale = type.kind === 'decimal' ? type.scale : 0;
  return { type: double, start: () => integerSum((total, count) => quotient(total, scale, count)) };
}

/** A decimal divided by a count: the nearest double wherever both are exact in one, so that the mean of equal values is that value. */
function quotient(total: bigint, scale: number, count: number): number {
  const divisor = powerOfTen(scale) * BigInt(count);
  const isExact = total <= EXACT_SUM_MAX && total >= -EXACT_SUM_MAX && divisor <= EXACT_SUM_MAX;
  return isExact ? Number(total) / Number(divisor) : decimalToDouble(total, scale) / count;
}

interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Sum of the squared distances from the mean. */
  readonly squares: number;
}

/** Mean and spread in one pass (Welford). */
function moments(type: DataType, finish: (moments: Moments) => Cell): Accumulator {
  const read = toDouble(type);
  let count = 0;
  let mean = 0;
  let squares = 0;
  return {
    add: (cell) => {
      if (cell === null) return;
      const value = read(cell);
      count += 1;
      const distance = value - mean;
      mean += distance / count;
      squares += distance * (value - mean);
    },
    result: () => finish({ count, mean, squares }),
  };
}

function spread(name: string, least: number, finish: (variance: number) => number): Define {
  return (type) => {
    if (!isNumeric(type)) throw wrongArgument(name, type);
    const from = least - 1;
    return {
      type: double,
      start: () => moments(type, ({ count, squares }) => (count < least ? null : finite(finish(squares / (count - from))))),
    };
  };
}

function extreme(name: string, sign: 1 | -1): Define {
  return (type) => {
    const kind = representation(type);
    if (kind === 'vector') throw wrongArgument(name, type);
    return { type, start: kind === 'number' ? () => numberExtreme(sign) : () => cellExtreme(type, sign) };
  };
}

function numberExtreme(sign: 1 | -1): Accumulator {
  let best: number | null = null;
  return {
    add: (cell) => {
      if (cell !== null && (best === null || ((cell as number) - best) * sign > 0)) best = cell as number;
    },
    result: () => best,
  };
}

function cellExtreme(type: DataType, sign: 1 | -1): Accumulator {
  const compare = compareCells(type);
  let best: Cell = null;
  return {
    add: (cell) => {
      if (cell !== null && (best === null || compare(cell, best) * sign > 0)) best = cell;
    },
    result: () => best,
  };
}

function every(decisive: boolean): Define {
  return (type) => {
    if (type.kind !== 'boolean') throw wrongArgument(decisive ? 'BOOL_OR' : 'BOOL_AND', type);
    return {
      type,
      start: () => {
        let seen: boolean | null = null;
        return {
          add: (cell) => {
            if (cell !== null && seen !== decisive) seen = cell === true;
          },
          result: () => seen,
        };
      },
    };
  };
}

function joined(_type: DataType, request: AggregateRequest): Definition {
  const text = plainType('text');
  const separator = coerce(request.arguments[1] ?? noSeparator(), text, 'implicit');
  if (separator.stability !== 'constant' && separator.stability !== 'execution')
    throw kalamError('NOT_IMPLEMENTED', { what: 'STRING_AGG with a separator that changes' });
  return {
    type: text,
    argument: text,
    ordered: true,
    start: (context) => {
      const between = String(separator.evaluate({ cells: [], seq: 0n, deleted: false }, context) ?? '');
      let parts: string | null = null;
      return {
        add: (cell) => {
          if (cell === null) return;
          parts = parts === null ? String(cell) : `${parts}${between}${String(cell)}`;
          if (parts.length > JOINED_UNITS_MAX)
            throw kalamError('INVALID_ARGUMENT', { reason: `the text of STRING_AGG is longer than ${JOINED_UNITS_MAX} characters` });
        },
        result: () => parts,
      };
    },
  };
}

function noSeparator(): never {
  throw kalamError('FUNCTION_NOT_FOUND', { name: 'string_agg' });
}

function wrongArgument(name: string, type: DataType): Error {
  return kalamError('TYPE_MISMATCH', { reason: `${name} does not take a value of type ${sqlTypeName(type)}` });
}

const variance = spread('VARIANCE', 2, (value) => value);
const deviation = spread('STDDEV', 2, Math.sqrt);

const AGGREGATES: ReadonlyMap<string, Define> = new Map<string, Define>([
  ['count', () => ({ type: bigint, start: () => new Count() })],
  ['sum', sum],
  ['avg', average],
  ['min', extreme('MIN', -1)],
  ['max', extreme('MAX', 1)],
  ['bool_and', every(false)],
  ['every', every(false)],
  ['bool_or', every(true)],
  ['string_agg', joined],
  ['variance', variance],
  ['var_samp', variance],
  ['var_pop', spread('VAR_POP', 1, (value) => value)],
  ['stddev', deviation],
  ['stddev_samp', deviation],
  ['stddev_pop', spread('STDDEV_POP', 1, Math.sqrt)],
]);

const BOOLEAN_AGGREGATES: ReadonlySet<string> = new Set(['bool_and', 'bool_or', 'every']);

/** Whether a name (lower case) is that of an aggregate. */
export function isAggregate(name: string): boolean {
  return AGGREGATES.has(name);
}

/** Binds an aggregate call. Throws FUNCTION_NOT_FOUND and TYPE_MISMATCH. */
export function bindAggregate(request: AggregateRequest): BoundAggregate {
  const { name, star, filter } = request;
  const define = AGGREGATES.get(name);
  if (star && name === 'count') {
    return { type: bigint, call: { argument: undefined, filter, countsRows: filter === undefined, start: () => new CountRows() } };
  }
  const [first] = request.arguments;
  if (define === undefined || first === undefined || request.arguments.length !== (name === 'string_agg' ? 2 : 1)) {
    throw kalamError('FUNCTION_NOT_FOUND', { name });
  }
  const own = first.kind === 'value' ? coerce(first, valueArgumentType(name, first), 'implicit') : first;
  const definition = define(own.type, request);
  const argument = definition.argument === undefined ? own : coerce(own, definition.argument, 'implicit');
  const sorts = definition.ordered === true ? compareCells(argument.type) : undefined;
  const start = request.distinct ? (context: EvalContext) => new Distinct(definition.start(context), own.type, sorts) : definition.start;
  const ordered = definition.ordered === true ? { ordered: true } : {};
  return { type: definition.type, call: { argument, filter, countsRows: false, ...ordered, start } };
}

/** A literal has the type it has by itself; a NULL as written is a boolean for `bool_and` and a number for `stddev`. */
function valueArgumentType(name: string, { literal, type }: ValueNode): DataType {
  if (literal !== 'null') return type;
  if (BOOLEAN_AGGREGATES.has(name)) return plainType('boolean');
  return /^(var|std)/.test(name) ? double : type;
}

/** Passes each value on once; NULLs are passed over. What shows the order of its values gets them sorted, as PostgreSQL finds them. */
class Distinct implements Accumulator {
  readonly #inner: Accumulator;
  readonly #seen: Set<Cell> = new Set();
  readonly #identity: (cell: NonNullCell) => Cell;
  readonly #sorts: ((a: NonNullCell, b: NonNullCell) => number) | undefined;
  #waiting: NonNullCell[] = [];

  constructor(inner: Accumulator, type: DataType, sorts: ((a: NonNullCell, b: NonNullCell) => number) | undefined) {
    this.#inner = inner;
    this.#identity = cellIdentity(type);
    this.#sorts = sorts;
  }

  add(cell: Cell): void {
    if (cell === null) return;
    const identity = this.#identity(cell);
    if (this.#seen.has(identity)) return;
    if (this.#seen.size >= DISTINCT_CELLS_MAX) throw kalamError('QUERY_TOO_LARGE', { max: DISTINCT_CELLS_MAX, what: 'distinct values' });
    this.#seen.add(identity);
    if (this.#sorts === undefined) this.#inner.add(cell);
    else this.#waiting.push(cell);
  }

  result(): Cell {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const cell of waiting.sort(this.#sorts)) this.#inner.add(cell);
    return this.#inner.result();
  }
}

/** What stands for a cell in sets and maps: itself, but a text for bytes and vectors. */
export function cellIdentity(type: DataType): (cell: NonNullCell) => Cell {
  const kind = representation(type);
  return kind === 'bytes' || kind === 'vector' ? (cell) => (cell as Uint8Array | Float32Array).join() : (cell) => cell;
}
