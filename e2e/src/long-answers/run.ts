import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import { type ReadAnswer, type Reader, readAnswer } from './long-answer.ts';

const PASSWORD = 'long-answers-password';
/** Rows of one INSERT, and of one copy: a commit has at most 100,000. */
const INSERT_ROWS = 5000;
const COPY_ROWS = 100_000;

/** Rows of the one side of a join. */
const JOINED_ROWS = 1000;

/** A join with so many rows, a multiple of 1,000, of two small tables. */
export function joinOf(rows: number): string {
  const [left, right] = [`a.id < ${rows / JOINED_ROWS}`, `b.id < ${JOINED_ROWS}`];
  return `SELECT a.id * ${JOINED_ROWS} + b.id AS id, a.name, b.n FROM t a CROSS JOIN t b WHERE ${left} AND ${right}`;
}

/** A server with a table of rows `(id, name, n)`, id from 0 on. */
export class LongAnswers {
  readonly server: ServerProcess;
  readonly reader: Reader;
  readonly #api: Api;
  readonly #folder: string;
  #rows = 0;

  private constructor(folder: string, server: ServerProcess, api: Api) {
    this.#folder = folder;
    this.server = server;
    this.#api = api;
    this.reader = { url: server.url, token: api.token('root'), pid: server.pid };
  }

  static async start(settings = ''): Promise<LongAnswers> {
    const folder = mkdtempSync(join(tmpdir(), 'kalamdb-long-answers-'));
    const server = await ServerProcess.start({
      folder,
      rootPassword: PASSWORD,
      durability: 'relaxed',
      settings: UNHURRIED_SETTINGS + settings,
    });
    const api = new Api();
    api.url = server.url;
    await api.login('root', PASSWORD);
    await api.rows('root', "CREATE TABLE t (id INT PRIMARY KEY, name TEXT, n INT) WITH (TYPE='SHARED')");
    return new LongAnswers(folder, server, api);
  }

  /** Adds rows until there are so many. */
  async fill(rows: number): Promise<void> {
    for (; this.#rows < Math.min(rows, COPY_ROWS); this.#rows += INSERT_ROWS) {
      const values = Array.from({ length: INSERT_ROWS }, (_, i) => `(${this.#rows + i}, 'the name of row ${this.#rows + i}', ${i % 100})`);
      await this.sql(`INSERT INTO t VALUES ${values.join(',')}`);
    }
    for (; this.#rows < rows; this.#rows += COPY_ROWS) {
      await this.sql(`INSERT INTO t SELECT id + ${this.#rows}, name, n FROM t WHERE id < ${COPY_ROWS}`);
    }
  }

  async sql(text: string): Promise<readonly (readonly unknown[])[]> {
    return (await this.#api.rows('root', text))[0] ?? [];
  }

  read(sql: string, how: Partial<Reader> = {}): Promise<ReadAnswer> {
    return readAnswer({ ...this.reader, ...how }, sql);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
