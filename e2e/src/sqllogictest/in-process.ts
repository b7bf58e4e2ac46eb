import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase, type Principal, type StatementResult } from '@kalamdb/engine';
import { cellToJson } from '@kalamdb/protocol';
import { initParser } from '@kalamdb/sql';
import type { ResultCell } from '@kalamdb/testing';
import type { FileRunner } from './run.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };

/** A database of this process that plays each file in a namespace of its own. Whoever opens one stops it. */
export class InProcessRunners {
  readonly #database: Database;
  readonly #folder: string;
  #files = 0;

  private constructor(database: Database, folder: string) {
    this.#database = database;
    this.#folder = folder;
  }

  static async open(): Promise<InProcessRunners> {
    await initParser();
    const folder = mkdtempSync(join(tmpdir(), 'kalamdb-sqllogictest-'));
    const options = { directory: join(folder, 'data'), durability: 'relaxed', rootPassword: 'sqllogictest-root' } as const;
    return new InProcessRunners(await openDatabase(options), folder);
  }

  /** A runner for one file. */
  async runner(): Promise<FileRunner> {
    const namespace = `file_${++this.#files}`;
    await this.#database.session(ROOT).execute(`CREATE NAMESPACE ${namespace}`);
    return { namespace, run: async (sql) => rowsOf((await this.#database.session(ROOT, { namespace }).execute(sql)).at(-1)) };
  }

  async stop(): Promise<void> {
    await this.#database.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function rowsOf(result: StatementResult | undefined): readonly (readonly ResultCell[])[] {
  if (result?.kind !== 'rows') return [];
  const { columns, rows } = result;
  return rows.map((row) => columns.map(({ type }, index) => JSON.parse(cellToJson(row[index] ?? null, type)) as ResultCell));
}
