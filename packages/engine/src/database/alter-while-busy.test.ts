import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cell } from '@kalamdb/protocol';
import { SeededRandom } from '@kalamdb/testing';
import { expect, it } from 'vitest';
import type { StatementResult } from '../contract.ts';
import type { LiveConnection } from '../live/connection.ts';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { MAIN_THREAD_ROWS_MAX } from '../read/query-runner.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { openDatabase } from './open-database.ts';
import { ROOT } from './statement-world.fixture.ts';

/** Rows of the table that the scan thread reads, where there is one; of the other one. */
const ROWS = { big: MAIN_THREAD_ROWS_MAX + 1000, small: 40 } as const;
type TableName = keyof typeof ROWS;
const TABLES: readonly TableName[] = ['big', 'small'];
/** ALTER TABLE statements of each run, over both tables; it goes on, up to the larger number, until everything has happened. */
const ALTERATIONS = { least: 14, max: 500 };
const STEPS: readonly string[] = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'COMMIT', 'ALTER big', 'ALTER small'];
/** What may be answered to a statement whose table has been altered since it was thought of. */
const EXPECTED: ReadonlySet<string> = new Set(['CONFLICT', 'COLUMN_NOT_FOUND', 'DUPLICATE_KEY', 'COLUMN_MISSING', 'TYPE_MISMATCH']);

/**
 * Columns are called `c<identity>_<renames>`, and whatever is written into one says so: `<identity>:<id of the row>:…`. So every row
 * that is read, on any road, tells whether its cells stand under the right names. What
 * a column reads in rows that are older is NULL or `<identity>:*`.
 */
interface Column {
  readonly identity: number;
  name: string;
}

function misplaced(name: string, cell: unknown, id: unknown): boolean {
  const identity = /^c(\d+)_/.exec(name)?.[1];
  if (identity === undefined || cell === null || cell === undefined || cell === `${identity}:*`) return false;
  return !String(cell).startsWith(`${identity}:${id}:`);
}

class BusyWorld {
  readonly database: Database;
  readonly counts: Record<string, number> = {};
  readonly problems: unknown[] = [];
  readonly #random: SeededRandom;
  readonly #columns: Record<TableName, Column[]> = { big: [], small: [] };
  readonly #followers: { readonly client: SimulatedClient; readonly table: TableName; readonly connection: LiveConnection }[] = [];
  #identities = 0;
  #texts = 0;
  altering = true;

  constructor(database: Database, seed: number) {
    this.database = database;
    this.#random = new SeededRandom(seed);
  }

  async prepare(): Promise<void> {
    await this.run('CREATE NAMESPACE app');
    for (const table of TABLES) {
      for (let count = 0; count < 3; count++) this.#columns[table].push(this.#newColumn());
      const columns = this.#columns[table];
      await this.run(`CREATE TABLE app.${table} (id INT PRIMARY KEY, ${columns.map(({ name }) => `${name} TEXT`).join(', ')})`);
      const rows = Array.from({ length: ROWS[table] }, (_, id) => `(${[id, ...columns.map(({ identity }) => `'${identity}:${id}:'`)]})`);
      for (let first = 0; first < rows.length; first += 3000) {
        await this.run(`INSERT INTO app.${table} VALUES ${rows.slice(first, first + 3000).join(', ')}`);
      }
    }
  }

  async run(sql: string): Promise<StatementResult | undefined> {
    return (await this.database.session(ROOT).execute(sql)).at(-1);
  }

  /** Runs a statement that may come too late for its table. */
  async try(sql: string): Promise<StatementResult | undefined> {
    try {
      const result = await this.run(sql);
      this.#note(sql.split(' ')[0] ?? '');
      return result;
    } catch (error) {
      if (!(error instanceof StatementError)) throw error;
      const { code, message } = error.failure.error;
      this.#note(code);
      if (!EXPECTED.has(code)) this.problems.push([sql.slice(0, 100), code, message]);
      return undefined;
    }
  }

  async alter(): Promise<void> {
    for (let count = 0; count < ALTERATIONS.least || (count < ALTERATIONS.max && this.missing.length > 0); count++) {
      const table = this.#random.pick(TABLES);
      const columns = this.#columns[table];
      const column = this.#random.pick(columns);
      const dice = columns.length < 3 ? 0 : columns.length > 5 ? 1 : this.#random.integer(3);
      const added = this.#newColumn();
      const renamed = `c${column.identity}_${count + 1}`;
      const fill = this.#random.integer(2) === 0 ? '' : ` NOT NULL DEFAULT '${added.identity}:*'`;
      const operation = [
        `ADD COLUMN ${added.name} TEXT${fill}`,
        `DROP COLUMN ${column.name}`,
        `RENAME COLUMN ${column.name} TO ${renamed}`,
      ][dice];
      await this.run(`ALTER TABLE app.${table} ${operation}`);
      if (dice === 0) columns.push(added);
      else if (dice === 1) columns.splice(columns.indexOf(column), 1);
      else column.name = renamed;
      this.#note(`ALTER ${table}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.altering = false;
  }

  /** What has not happened yet. */
  get missing(): readonly string[] {
    return STEPS.filter((what) => this.counts[what] === undefined);
  }

  /** Reads until everything has been altered. */
  async read(table: TableName): Promise<void> {
    while (this.altering) {
      const id = this.#random.integer(ROWS[table]);
      const where = this.#random.pick([
        '',
        `WHERE id = ${id}`,
        `WHERE id > ${ROWS[table] - 30}`,
        `WHERE ${this.#column(table)} IS NOT NULL`,
      ]);
      const result = await this.try(`SELECT * FROM app.${table} ${where} ${this.#random.pick(['', 'ORDER BY id DESC'])}`);
      if (result?.kind === 'rows') this.check(result);
      else if (this.problems.length > 0) return;
    }
  }

  check({ columns, rows }: Extract<StatementResult, { kind: 'rows' }>): void {
    for (const row of rows) {
      for (const [index, { name }] of columns.entries()) {
        if (misplaced(name, row[index], row[0])) this.problems.push(['SELECT', columns.map((column) => column.name), row]);
      }
    }
    if (columns.some((column, index) => columns.findIndex(({ name }) => name === column.name) !== index)) this.problems.push(columns);
  }

  async write(table: TableName): Promise<void> {
    while (this.altering && this.problems.length === 0) {
      await this.try(this.#change(table));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async transact(): Promise<void> {
    while (this.altering && this.problems.length === 0) {
      const request = this.database.session(ROOT).open();
      try {
        await request.execute('BEGIN');
        const [before] = await request.execute('SELECT * FROM app.small');
        await request.execute(this.#change('small'));
        await new Promise((resolve) => setTimeout(resolve, this.#random.integer(20)));
        const [after] = await request.execute('SELECT * FROM app.small');
        for (const result of [before, after]) if (result?.kind === 'rows') this.check(result);
        await request.execute('COMMIT');
        this.#note('COMMIT');
      } catch (error) {
        if (!(error instanceof StatementError)) throw error;
        const { code } = error.failure.error;
        this.#note(`COMMIT ${code}`);
        if (!EXPECTED.has(code)) this.problems.push(['transaction', code]);
      }
    }
  }

  /** Subscribes; the connection is paused now and then, and opened again from where it was. */
  async follow(table: TableName, id: string): Promise<void> {
    const client = new SimulatedClient();
    const connection = this.database.live.connect(ROOT, { connectionId: id, sink: client });
    this.#followers.push({ client, table, connection });
    const subscribing = connection.subscribe({ id, sql: `SELECT * FROM app.${table}`, options: { batchSize: 2500 } });
    while (this.altering && this.problems.length === 0) {
      if (client.state === 'loading') await connection.nextBatch(id, client.lastSeqId).catch(() => undefined);
      if (this.#random.integer(2) === 0) connection.pause();
      await new Promise((resolve) => setTimeout(resolve, this.#random.integer(15)));
      connection.resume();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await subscribing;
  }

  /** Everybody who follows has what a SELECT answers, as far as it was sent under the names that the columns have now. */
  async settle(): Promise<void> {
    for (const { client, connection, table } of this.#followers) {
      const [subscription] = connection.subscriptions();
      while (client.state === 'loading') await connection.nextBatch(subscription?.id ?? '', client.lastSeqId);
      // A large commit is handed on in slices.
      while (subscription?.state === 'behind' || this.database.live.dispatchedSeq < this.database.status().watermark)
        await new Promise((resolve) => setImmediate(resolve));
      expect([client.problems, client.ended]).toEqual([[], undefined]);
      const result = await this.run(`SELECT * FROM app.${table}`);
      if (result?.kind !== 'rows') throw new Error('no rows');
      this.check(result);
      const answer = new Map(result.rows.map((row) => [row[0], row]));
      expect([...client.rows.keys()].sort(byNumber)).toEqual([...answer.keys()].sort(byNumber));
      for (const [id, row] of client.rows) {
        this.#checkFollowed(row, { id, columns: result.columns.map(({ name }) => name), cells: answer.get(id as Cell) ?? [] });
      }
    }
    this.#followers.splice(0);
  }

  #checkFollowed(
    row: Readonly<Record<string, unknown>>,
    { id, columns, cells }: { readonly id: unknown; readonly columns: readonly string[]; readonly cells: readonly Cell[] },
  ): void {
    for (const [name, value] of Object.entries(row)) {
      const place = name.startsWith('c') ? columns.indexOf(name) : -1;
      if (misplaced(name, value, id) || (place >= 0 && (value ?? null) !== cells[place])) {
        this.problems.push(['live', id, name, value, place < 0 ? undefined : cells[place]]);
      }
    }
  }

  #newColumn(): Column {
    const identity = ++this.#identities;
    return { identity, name: `c${identity}_0` };
  }

  #column(table: TableName): string {
    return this.#random.pick(this.#columns[table]).name;
  }

  #change(table: TableName): string {
    const { identity, name } = this.#random.pick(this.#columns[table]);
    const id = this.#random.integer(ROWS[table]);
    const text = ++this.#texts;
    const dice = this.#random.integer(8);
    if (dice === 0) return `DELETE FROM app.${table} WHERE id = ${id}`;
    const fresh = ROWS[table] + text;
    if (dice < 3) return `INSERT INTO app.${table} (id, ${name}) VALUES (${fresh}, '${identity}:${fresh}:')`;
    // Now and then a large commit.
    const where = dice === 3 ? `id % 7 = ${id % 7}` : `id BETWEEN ${id} AND ${id + 3}`;
    return `UPDATE app.${table} SET ${name} = CONCAT('${identity}:', CAST(id AS TEXT), ':${text}') WHERE ${where}`;
  }

  #note(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

const byNumber = (a: unknown, b: unknown): number => Number(a) - Number(b);

it.each(['memory', 'directory'])(
  'every cell that is read, followed or written while tables are altered stands under the name of its column: %s',
  async (where) => {
    const directory = where === 'memory' ? undefined : mkdtempSync(join(tmpdir(), 'kalamdb-busy-'));
    const open = (): Promise<Database> => openDatabase({ directory, durability: 'relaxed', statementTimeoutMillis: 1e9 });
    const database = await open();
    let world = new BusyWorld(database, 1);
    try {
      await world.prepare();
      const followers = ['big', 'small', 'small', 'small'].map((table, index) => world.follow(table as TableName, `f${index}`));
      const readers = [...TABLES, ...TABLES].map((table) => world.read(table));
      const writers = [...TABLES, ...TABLES].map((table) => world.write(table));
      const altering = world.alter().finally(() => {
        world.altering = false;
      });
      await Promise.all([altering, ...followers, ...readers, ...writers, world.transact()]);
      await world.settle();
      expect(world.problems.slice(0, 3)).toEqual([]);
      expect(world.missing).toEqual([]);
    } finally {
      await database.close();
    }
    if (directory === undefined) return;
    const reopened = await open();
    try {
      world = new BusyWorld(reopened, 2);
      for (const table of TABLES) {
        const result = await world.run(`SELECT * FROM app.${table}`);
        if (result?.kind === 'rows') world.check(result);
      }
      expect(world.problems).toEqual([]);
    } finally {
      await reopened.close();
      rmSync(directory, { recursive: true, force: true });
    }
  },
  120_000,
);
