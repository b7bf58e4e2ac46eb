import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Durability } from '@kalamdb/storage';
import { type AppendStep, type AppendTransaction, isolationViolations, SeededRandom } from '@kalamdb/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal, StatementResult } from '../contract.ts';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open-database.ts';
import { StatementError } from '../session/statement-error.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
/** Half of the lists lie in a SHARED table, half in the partition of a USER table. */
const LISTS: readonly string[] = ['app.ours 0', 'app.ours 1', 'app.mine 0', 'app.mine 1'];
const WORKERS = 8;
const TRANSACTIONS = 25;

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function open(durability: Durability, directory?: string): Promise<Database> {
  const database = await openDatabase({ directory, durability });
  cleanups.push(() => database.close());
  const columns = '(id INT PRIMARY KEY, v TEXT)';
  await database
    .session(ROOT)
    .execute(`CREATE NAMESPACE app; CREATE USER TABLE app.mine ${columns}; CREATE SHARED TABLE app.ours ${columns}`);
  for (const table of ['app.ours', 'app.mine']) await database.session(ROOT).execute(`INSERT INTO ${table} VALUES (0, ''), (1, '')`);
  return database;
}

const place = (key: string): readonly [table: string, id: string] => key.split(' ') as [string, string];
const textOf = ({ kind, key, ...step }: Planned): string => {
  const [table, id] = place(key);
  return kind === 'read' ? `SELECT v FROM ${table} WHERE id = ${id}` : `UPDATE ${table} SET v = v || '${step.id},' WHERE id = ${id}`;
};
const idsOf = (result: StatementResult | undefined): number[] =>
  result?.kind === 'rows'
    ? String(result.rows[0]?.[0])
        .split(',')
        .filter((id) => id !== '')
        .map(Number)
    : [];
const codeOf = (error: unknown): string => (error instanceof StatementError ? error.failure.error.code : String(error));

interface Planned {
  readonly kind: 'read' | 'append';
  readonly key: string;
  readonly id: number;
}

/** How a transaction is sent: one request, one text after another with pauses, or as a single statement. */
type Form = 'request' | 'steps' | 'alone';

/** Concurrent workers that run random transactions, and what they saw. */
class Workers {
  readonly transactions: AppendTransaction[] = [];
  readonly counts: Record<string, number> = {};
  readonly #database: Database;
  readonly #random: SeededRandom;
  #ids = 0;

  constructor(database: Database, seed: number) {
    this.#database = database;
    this.#random = new SeededRandom(seed);
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: WORKERS }, (_, worker) => this.#work(worker)));
  }

  async final(): Promise<ReadonlyMap<string, readonly number[]>> {
    const lists = new Map<string, readonly number[]>();
    for (const key of LISTS) {
      const [result] = await this.#database.session(ROOT).execute(textOf({ kind: 'read', key, id: 0 }));
      lists.set(key, idsOf(result));
    }
    return lists;
  }

  async #work(worker: number): Promise<void> {
    for (let number = 0; number < TRANSACTIONS; number++) {
      const form = this.#random.pick<Form>(['request', 'steps', 'steps', 'alone']);
      const planned = Array.from({ length: form === 'alone' ? 1 : 1 + this.#random.integer(5) }, (): Planned => {
        return { kind: this.#random.pick(['read', 'append'] as const), key: this.#random.pick(LISTS), id: ++this.#ids };
      });
      const results: StatementResult[] = [];
      const rollback = form !== 'alone' && this.#random.integer(8) === 0;
      let outcome: AppendTransaction['outcome'] = rollback ? 'aborted' : 'committed';
      try {
        await this.#send(form, planned, { end: rollback ? 'ROLLBACK' : 'COMMIT', results });
        this.#count(`${form} ${outcome}`);
      } catch (error) {
        expect(codeOf(error)).toBe('CONFLICT');
        this.#count(`${form} conflict`);
        outcome = 'aborted';
      }
      const steps = planned.slice(0, results.length).map((step, index): AppendStep => {
        return step.kind === 'append' ? { ...step, kind: 'append' } : { kind: 'read', key: step.key, ids: idsOf(results[index]) };
      });
      this.transactions.push({ name: `${worker}.${number}`, outcome, steps });
    }
  }

  async #send(form: Form, planned: readonly Planned[], { end, results }: { end: string; results: StatementResult[] }): Promise<void> {
    const session = this.#database.session(ROOT);
    const texts = planned.map(textOf);
    if (form === 'alone') results.push(...(await session.execute(texts[0] ?? '')));
    if (form === 'request') results.push(...(await session.execute(['BEGIN', ...texts, end].join('; '))).slice(1, -1));
    if (form !== 'steps') return;
    const request = session.open();
    await request.execute('BEGIN');
    for (const text of texts) {
      results.push(...(await request.execute(text)));
      for (let pause = this.#random.integer(3); pause > 0; pause--) await new Promise((resolve) => setImmediate(resolve));
    }
    await request.execute(end);
    request.end();
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

describe('histories of concurrent list-append transactions', () => {
  it.each([
    { seed: 1, durability: 'relaxed', where: 'memory' },
    { seed: 2, durability: 'relaxed', where: 'disk' },
    { seed: 3, durability: 'sync', where: 'disk' },
  ] as const)(
    'show no lost update, no dirty, non-repeatable or fractured read ($where, $durability)',
    async ({ seed, durability, where }) => {
      const directory = where === 'memory' ? undefined : await mkdtemp(join(tmpdir(), 'kalamdb-'));
      if (directory !== undefined) cleanups.push(() => rm(directory, { recursive: true, force: true }));
      const workers = new Workers(await open(durability, directory), seed);
      await workers.run();
      const { transactions, counts } = workers;
      expect(isolationViolations({ transactions, final: await workers.final() })).toEqual([]);
      for (const what of ['request committed', 'steps committed', 'alone committed', 'steps aborted', 'steps conflict']) {
        expect(counts[what] ?? 0, what).toBeGreaterThan(0);
      }
    },
  );
});
