import type { Cell, DataType } from '@kalamdb/protocol';
import type { EvalContext } from '../input-row.ts';
import type { Stability, Typed } from '../typed.ts';

/**
 * What an argument may be. `any`: every type as it is; `text`: every textual type; `integer`: SMALLINT, INT, BIGINT as they
 * are (read them with `Number`); `number`: every numeric type, as a double; `numeric`: every numeric type as it is;
 * `instant`: TIMESTAMP, DATETIME and DATE, in microseconds; the others are types.
 */
export type ArgumentKind =
  | 'any'
  | 'text'
  | 'integer'
  | 'number'
  | 'numeric'
  | 'instant'
  | 'boolean'
  | 'bigint'
  | 'decimal'
  | 'float'
  | 'date'
  | 'time'
  | 'bytes'
  | 'embedding';

/** The code of a function: cells in, cell out. The arguments are of the kinds that the overload names. */
export type FunctionBody = (...cells: never[]) => Cell;

/** One signature of a function. Overloads are tried in order; the first whose arguments fit is taken. */
export interface FunctionOverload {
  readonly arguments: readonly ArgumentKind[];
  /** How many of the last arguments may be left out; 0 unless said. */
  readonly optional?: number;
  /** The kind of any number of further arguments. */
  readonly rest?: ArgumentKind;
  readonly result: DataType | ((operands: readonly Typed[]) => DataType);
  /** What the function adds to the stability of its arguments; `constant` unless said. */
  readonly stability?: Stability;
  /** `false`: it is called with NULLs too. Otherwise a NULL argument gives NULL. */
  readonly strict?: false;
  /** The body, or how to make one for the types of the arguments. */
  readonly body:
    | { readonly run: FunctionBody }
    | { readonly make: (types: readonly DataType[]) => FunctionBody }
    | { readonly context: (context: EvalContext) => Cell };
}

/** The functions of one family by name (lower case). */
export type FunctionFamily = Readonly<Record<string, readonly FunctionOverload[]>>;
