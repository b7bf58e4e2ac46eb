import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Api, SqlAnswer } from '../sql-api.ts';

const POLL_MILLIS = 20;
const LOOKS_MAX = 3_000;

/** What is read of a `manifest.json`. */
interface Manifest {
  readonly chunks: readonly { readonly key: string; readonly bytes: number }[];
}

/**
 * Backups of the whole database into one folder, one after another, whatever is killed meanwhile. After each kill the folder must hold a
 * backup that is whole, or none; after the last one nothing else is left, and what it is restored from is what there was.
 */
export class Backups {
  readonly #api: Api;
  readonly #place: string;
  readonly #note: (what: string) => void;
  #begun = 0;

  /** `folder` lies beside the data directory. */
  constructor(api: Api, folder: string, note: (what: string) => void) {
    this.#api = api;
    this.#place = join(folder, 'backup');
    this.#note = note;
  }

  /** Takes backups until the server dies. */
  async runUntil(dying: () => boolean): Promise<void> {
    while (!dying()) {
      try {
        const mode = this.#begun++ % 2 === 0 ? '' : ' MODE INCREMENTAL';
        await this.#job(`BACKUP DATABASE TO '${this.#place}'${mode}`);
        this.#note('backups beside the writers');
      } catch (error) {
        if (!dying()) throw error;
      }
    }
  }

  /** Looks at what a kill has left, while no server runs. */
  checkFiles(): void {
    const found = this.#manifest();
    if (found === undefined) this.#note('kills before the first backup');
    for (const { key, bytes } of found?.chunks ?? []) {
      const path = join(this.#place, key);
      const size = existsSync(path) ? statSync(path).size : undefined;
      if (size !== bytes) throw new Error(`the backup names ${key} with ${bytes} bytes; there are ${size}`);
    }
    if (this.#chunkFolders().length > (found === undefined ? 0 : 1)) this.#note('kills in a backup');
  }

  /** Checks with the server's own eyes that the folder holds a whole backup, if it holds one. */
  async verify(): Promise<void> {
    if (this.#manifest() === undefined) return;
    await this.#job(`BACKUP VERIFY '${this.#place}'`);
    this.#note('backups verified after a kill');
  }

  /** A last backup while nobody writes, and a restore of it that takes over at the next start. */
  async finish(): Promise<void> {
    await this.#job(`BACKUP DATABASE TO '${this.#place}'`);
    const left = readdirSync(this.#place).sort().join(' ');
    if (!['cold-segments hot-rows manifest.json', 'hot-rows manifest.json'].includes(left)) throw new Error(`backups have left ${left}`);
    if (this.#chunkFolders().length !== 1) throw new Error('chunks of earlier backups are left');
    await this.#job(`RESTORE DATABASE FROM '${this.#place}'`);
  }

  #manifest(): Manifest | undefined {
    const path = join(this.#place, 'manifest.json');
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  }

  #chunkFolders(): readonly string[] {
    const folder = join(this.#place, 'hot-rows');
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** A backup that a kill has interrupted goes on by itself after the restart; nothing else is done in its place until it has ended. */
  async #begin(sql: string): Promise<SqlAnswer> {
    for (let look = 0; ; look++) {
      const answer = await this.#api.sql('root', sql);
      if (answer.error?.includes('Idempotent conflict') !== true || look === LOOKS_MAX) return answer;
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    }
  }

  /** Begins a job and waits for its end, which must be a good one. */
  async #job(sql: string): Promise<void> {
    const { results, error } = await this.#begin(sql);
    const [, id] = /Job ID: (\w\w-[0-9a-f]{12})/.exec(results[0]?.message ?? '') ?? [];
    if (id === undefined) throw new Error(`${sql}: ${error ?? JSON.stringify(results)}`);
    for (let look = 0; look < LOOKS_MAX; look++) {
      const [rows = []] = await this.#api.rows('root', `SELECT status, exception_trace FROM system.jobs WHERE job_id = '${id}'`);
      const [status, trace] = rows[0] ?? [];
      if (status === 'completed') return;
      if (status === 'failed' || status === 'cancelled') throw new Error(`${sql}: ${status}: ${trace}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
    }
    throw new Error(`${sql}: the job does not end`);
  }
}
