import { type Cell, type Clock, type Random, type SnowflakeSequence, ulid, uuidV7 } from '@kalamdb/protocol';
import type { EvalContext } from '@kalamdb/sql';
import type { Principal } from '../contract.ts';

/** What expressions draw on. `ids` is a sequence of its own: SNOWFLAKE_ID() must not take numbers from the commit order. */
export interface EvaluationSources {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: SnowflakeSequence;
}

/** The context of one statement execution. */
export function evaluationFor(sources: EvaluationSources, principal: Principal, parameters: readonly Cell[]): EvalContext {
  return new Evaluation(sources, principal, parameters);
}

/** The same moment, caller and sources with other parameters: for the query of a view. */
export function withParameters(context: EvalContext, parameters: readonly Cell[]): EvalContext {
  const { nowMicros, userId, role } = context;
  return {
    parameters,
    nowMicros,
    userId,
    role,
    snowflakeId: () => context.snowflakeId(),
    uuidV7: () => context.uuidV7(),
    ulid: () => context.ulid(),
    random: () => context.random(),
  };
}

/** A class, because one is made for each statement and few use any of it. */
class Evaluation implements EvalContext {
  readonly parameters: readonly Cell[];
  readonly userId: string;
  readonly role: string;
  readonly #sources: EvaluationSources;
  readonly #nowMillis: number;

  constructor(sources: EvaluationSources, { userId, role }: Principal, parameters: readonly Cell[]) {
    this.parameters = parameters;
    this.userId = userId;
    this.role = role;
    this.#sources = sources;
    this.#nowMillis = Math.trunc(sources.clock.now());
  }

  get nowMicros(): bigint {
    return BigInt(this.#nowMillis) * 1000n;
  }

  snowflakeId(): bigint {
    return this.#sources.ids.next();
  }

  uuidV7(): string {
    return uuidV7(this.#sources.clock, this.#sources.random);
  }

  ulid(): string {
    return ulid(this.#sources.clock, this.#sources.random);
  }

  random(): number {
    return this.#sources.random.uniform();
  }
}
