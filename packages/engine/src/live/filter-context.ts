import type { Cell, Clock } from '@kalamdb/protocol';
import type { EvalContext, PreparedValues } from '@kalamdb/sql';

/** What a long-lived filter reads: its caller and its literals stay the same, the time is that of each evaluation. */
export class FilterContext implements EvalContext {
  readonly parameters: readonly Cell[];
  readonly prepared: readonly unknown[] | undefined;
  readonly #caller: EvalContext;
  readonly #clock: Clock;

  constructor(caller: EvalContext, clock: Clock, { parameters, prepared }: PreparedValues) {
    this.parameters = parameters;
    this.prepared = prepared;
    this.#caller = caller;
    this.#clock = clock;
  }

  get userId(): string {
    return this.#caller.userId;
  }

  get role(): string {
    return this.#caller.role;
  }

  get nowMicros(): bigint {
    return BigInt(Math.trunc(this.#clock.now())) * 1000n;
  }

  snowflakeId(): bigint {
    return this.#caller.snowflakeId();
  }

  uuidV7(): string {
    return this.#caller.uuidV7();
  }

  ulid(): string {
    return this.#caller.ulid();
  }

  random(): number {
    return this.#caller.random();
  }
}
