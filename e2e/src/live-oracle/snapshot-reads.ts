import type { SeededRandom } from '@kalamdb/testing';
import { type Api, isAway } from '../sql-api.ts';
import { drawQuery } from './audience.ts';
import type { LiveQuery, Place } from './places.ts';

/** What reads are made of. */
export interface SnapshotReadsParts {
  readonly api: Api;
  readonly random: SeededRandom;
  readonly places: readonly Place[];
  readonly users: readonly string[];
  readonly count: (what: string) => void;
}

interface Read {
  readonly query: LiveQuery;
  /** The answer holds everything up to here. */
  readonly since: bigint;
  readonly rows: ReadonlyMap<string, bigint>;
}

/** SELECTs beside the writers: each must be the answer at one commit that is not older than what was known when it was sent. */
export class SnapshotReads {
  readonly #parts: SnapshotReadsParts;
  #reads: Read[] = [];

  constructor(parts: SnapshotReadsParts) {
    this.#parts = parts;
  }

  async step(): Promise<void> {
    const { api, random, places, users } = this.#parts;
    const query = drawQuery(random, places, random.pick(users));
    const { place, user, filter } = query;
    // Events that are deleted have no version of their own.
    if (place.table.kind === 'stream') return;
    const since = place.history.seq;
    try {
      const [rows = []] = await api.rows(user, `SELECT id, _seq FROM ${place.table.name} WHERE ${filter.sql}`);
      this.#reads.push({ query, since, rows: new Map(rows.map(([key, seq]) => [String(key), BigInt(String(seq))])) });
    } catch (error) {
      if (!isAway(error)) throw error;
    }
  }

  /** Holds them against the commits, all of which are known now. */
  judge(): void {
    for (const read of this.#reads.splice(0)) {
      if (!isAnswer(read))
        throw new Error(`${read.query.user}: ${read.query.sql}: no commit from ${read.since} on has the answer ${[...read.rows]}`);
      this.#parts.count('reads judged');
    }
  }
}

function isAnswer({ query, since, rows }: Read): boolean {
  const { place, filter, user } = query;
  const answer = new Map<string, bigint>();
  /** Rows in which the answer so far differs from what was read. */
  const wrong = new Set(rows.keys());
  for (const version of place.history.versions) {
    if (version.seq > since && wrong.size === 0) return true;
    const { key, seq } = version;
    if (!version.deleted && filter.test(version.cells, user) === true) answer.set(key, seq);
    else answer.delete(key);
    if (answer.get(key) === rows.get(key)) wrong.delete(key);
    else wrong.add(key);
  }
  return wrong.size === 0;
}
