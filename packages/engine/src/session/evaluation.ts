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
  const { clock, random, ids } = sources;
  return {
    parameters,
    nowMicros: BigInt(Math.trunc(clock.now())) * 1000n,
    userId: principal.userId,
    role: principal.role,
    snowflakeId: () => ids.next(),
    uuidV7: () => uuidV7(clock, random),
    ulid: () => ulid(clock, random),
    random: () => random.uniform(),
  };
}
