import type { Cell, DataType } from '@kalamdb/protocol';

/** What a writer knows about a call besides the texts of its arguments. */
export interface CallTypes {
  readonly result: DataType;
  /** Of the arguments, after coercion. */
  readonly operands: readonly DataType[];
  /** The arguments that are written in the statement, as they were before coercion; `undefined` for others. */
  readonly constants: readonly (Cell | undefined)[];
  /** The statement's time: microseconds since the epoch. */
  readonly nowMicros: bigint;
}

/** Writes a call in DuckDB's SQL. */
export type CallWriter = (operands: readonly string[], types: CallTypes) => string;
