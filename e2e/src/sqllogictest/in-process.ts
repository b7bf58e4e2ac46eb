import { type Database, openDatabase, type Principal, type StatementResult } from '@kalamdb/engine';
import { cellToJson } from '@kalamdb/protocol';
import { initParser } from '@kalamdb/sql';
import type { ResultCell, SqlRunner } from '@kalamdb/testing';

const ROOT: Principal = { userId: 'root', role: 'system' };

/** A database in memory of this process that plays each file in a namespace of its own. Whoever opens one closes it. */
export class InProcessRunners {
  readonly #database: Database;
  #files = 0;

  private constructor(database: Database) {
    this.#database = database;
  }

  static async open(): Promise<InProcessRunners> {
    await initParser();
    return new InProcessRunners(await openDatabase({ directory: undefined, durability: 'relaxed', rootPassword: 'sqllogictest-root' }));
  }

  /** A runner for one file. */
  async runner(): Promise<SqlRunner> {
    const namespace = `file_${++this.#files}`;
    await this.#database.session(ROOT).execute(`CREATE NAMESPACE ${namespace}`);
    return { run: async (sql) => rowsOf((await this.#database.session(ROOT, { namespace }).execute(sql)).at(-1)) };
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

function rowsOf(result: StatementResult | undefined): readonly (readonly ResultCell[])[] {
  if (result?.kind !== 'rows') return [];
  const { columns, rows } = result;
  return rows.map((row) => columns.map(({ type }, index) => JSON.parse(cellToJson(row[index] ?? null, type)) as ResultCell));
}
