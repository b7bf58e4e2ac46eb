import type { Cell, Clock } from '@kalamdb/protocol';
import type { EvalContext } from '@kalamdb/sql';

/** What a long-lived filter reads: its caller stays the same, the time is that of each evaluation. */
export class FilterContext implements EvalContext {
  readonly parameters: readonly Cell[];
  readonly userId: string;
  readonly role: string;
  readonly #base: EvalContext;
  readonly #clock: Clock;

  constructor(base: EvalContext, clock: Clock) {
    this.parameters = base.parameters;
    this.userId = base.userId;
    this.role = base.role;
    this.#base = base;
    this.#clock = clock;
  }

  get nowMicros(): bigint {
    return BigInt(Math.trunc(this.#clock.now())) * 1000n;
  }

  snowflakeId(): bigint {
    return this.#base.snowflakeId();
  }

  uuidV7(): string {
    return this.#base.uuidV7();
  }

  ulid(): string {
    return this.#base.ulid();
  }

  random(): number {
    return this.#base.random();
  }
}
