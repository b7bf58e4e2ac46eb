import type { SeededRandom } from '@kalamdb/testing';
import { type Api, isAway } from '../sql-api.ts';
import type { LiveTable } from './places.ts';

const POLL_MILLIS = 20;
const POLLS_MAX = 1_500;

/** What is done, one after the other. */
const KINDS = ['flush', 'alter', 'flush', 'alter', 'compact', 'alter'] as const;

/** What upkeep works with. */
export interface UpkeepParts {
  readonly api: Api;
  readonly random: SeededRandom;
  readonly count: (what: string) => void;
  /** Called before and after a table is altered. */
  readonly altering: (table: LiveTable) => void;
}

/** Moves rows into segments, merges these, and alters tables, beside the writers. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #tables: readonly LiveTable[];
  #steps = 0;
  #columns = 0;

  constructor(tables: readonly LiveTable[], parts: UpkeepParts) {
    this.#tables = tables;
    this.#parts = parts;
  }

  /** Does one thing and waits for its end; a server that dies meanwhile ends it, too. */
  async step(): Promise<void> {
    const table = this.#parts.random.pick(this.#tables);
    const kind = KINDS[this.#steps++ % KINDS.length];
    try {
      if (kind === 'alter') await this.#alter(table);
      else if (kind !== undefined) await this.#job(kind, `STORAGE ${kind.toUpperCase()} TABLE ${table.name}`);
    } catch (error) {
      if (!isAway(error)) throw error;
    }
  }

  async #alter(table: LiveTable): Promise<void> {
    const { api, count, altering } = this.#parts;
    const { passing } = table;
    const fresh = `passing_${++this.#columns}`;
    const [label, change, after] =
      passing === undefined
        ? ['add', `ADD COLUMN ${fresh} TEXT`, fresh]
        : this.#columns % 2 === 0
          ? ['rename', `RENAME COLUMN ${passing} TO ${fresh}`, fresh]
          : ['drop', `DROP COLUMN ${passing}`, undefined];
    altering(table);
    // Whether it was carried out is not known when the server dies: then the name is not used any more, and not missed either.
    table.passing = undefined;
    const { error } = await api.sql('root', `ALTER TABLE ${table.name} ${change}`);
    altering(table);
    if (error !== undefined) throw new Error(`ALTER TABLE ${table.name} ${change}: ${error}`);
    table.passing = after;
    count(`alter: ${label}`);
  }

  async #job(what: string, sql: string): Promise<void> {
    const { api, count } = this.#parts;
    const { results, error } = await api.sql('root', sql);
    const [, id] = /Job ID: (\w\w-[0-9a-f]{12})/.exec(results[0]?.message ?? '') ?? [];
    if (id === undefined) {
      // There is nothing to move, or a job from before a restart is on its way already.
      if (error?.includes('Idempotent conflict') === true || results[0]?.message?.includes('skipped') === true) return;
      throw new Error(`${sql}: ${error ?? JSON.stringify(results)}`);
    }
    for (let poll = 0; poll < POLLS_MAX; poll++) {
      const [rows = []] = await api.rows('root', `SELECT status, exception_trace FROM system.jobs WHERE job_id = '${id}'`);
      const [status, trace] = rows[0] ?? [];
      if (status === 'completed') {
        count(what);
        return;
      }
      if (status === 'failed' || status === 'cancelled') throw new Error(`${sql}: ${status}: ${trace}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    }
    throw new Error(`${sql}: the job does not end`);
  }
}
