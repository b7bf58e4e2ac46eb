import type { Cell, DataType } from '@kalamdb/protocol';
import type { DefaultValue } from '../statement/ast.ts';

/** A column as the binder sees it. */
export interface ColumnInfo {
  /** Never reused within a table. */
  readonly id: number;
  /** Lower case. */
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
  readonly primaryKey: boolean;
  readonly default: DefaultValue | undefined;
  /** Set on the two columns that every user table ends with; they are not in `cells` but fields of {@link InputRow}. */
  readonly system: '_seq' | '_deleted' | undefined;
}

/** One row as compiled expressions read it. */
export interface InputRow {
  readonly cells: readonly Cell[];
  /** `_seq`; 0n where there is none. */
  readonly seq: bigint;
  readonly deleted: boolean;
}

/** What an execution gives to its expressions. One per statement execution; not shared between executions. */
export interface EvalContext {
  /** Values for `$1 … $n`: the client's parameters, then the lifted literals. */
  readonly parameters: readonly Cell[];
  /** What a `Preparation` has made of the parameters, for plans that have one. */
  readonly prepared?: readonly unknown[] | undefined;
  /** The statement's time: microseconds since the epoch. NOW() is the same in the whole statement. */
  readonly nowMicros: bigint;
  readonly userId: string;
  readonly role: string;
  snowflakeId(): bigint;
  uuidV7(): string;
  ulid(): string;
  /** A number in [0, 1) for RANDOM(). */
  random(): number;
}

const unreachable = (): never => {
  throw new Error('an expression that reads only parameters looked at its context');
};

/** A context for evaluating what looks at nothing in it but the parameters. */
export function parameterContext(parameters: readonly Cell[]): EvalContext {
  return {
    parameters,
    nowMicros: 0n,
    userId: '',
    role: '',
    snowflakeId: unreachable,
    uuidV7: unreachable,
    ulid: unreachable,
    random: unreachable,
  };
}
