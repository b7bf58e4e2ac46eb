import { kalamError } from '@kalamdb/protocol';
import type { WriteContext } from './write-context.ts';
import type { WriteTarget } from './write-target.ts';

/** Times that a statement may lose a race before it keeps everybody else away from the partition. */
const LOST_RACES_MAX = 3;

/** A row has another version than the one that the statement has read. Nothing was written; it reads again. */
export class LostRace extends Error {
  constructor() {
    super('a row was changed between its reading and its turn');
    this.name = 'LostRace';
  }
}

/**
 * Runs a statement that reads, and then writes what it has read the newest versions of. `attempt` does both, and throws {@link LostRace} when
 * somebody was faster; after {@link LOST_RACES_MAX} times it runs while nobody else writes to the partition. Throws CONFLICT when even that
 * was lost, and what `attempt` throws.
 */
export async function racing<T>(context: WriteContext, attempt: (target: WriteTarget) => Promise<T>): Promise<T> {
  const { target, grant, races } = context;
  for (let lost = 0; lost < LOST_RACES_MAX; lost++) {
    try {
      return await attempt(target);
    } catch (error) {
      if (!(error instanceof LostRace)) throw error;
      races.lost += 1;
    }
  }
  races.latched += 1;
  try {
    return await target.alone(grant.partition, attempt);
  } catch (error) {
    if (!(error instanceof LostRace)) throw error;
    const { namespace, name } = grant.table;
    throw kalamError('CONFLICT', { reason: `rows of table '${namespace}.${name}' kept changing` }, { cause: error });
  }
}
