import { type Database, openDatabase, type Principal } from '@kalamdb/engine';
import type { Durability } from '@kalamdb/storage';

/** Cheap: the passwords of a test protect nothing. */
const PASSWORD_COST = { memoryKib: 1_024, iterations: 1 };
const OWNER: Principal = { userId: 'root', role: 'system' };

/** The table that the engine's fault runs write to, and what belongs into it. */
export class EngineRows {
  readonly database: Database;

  private constructor(database: Database) {
    this.database = database;
  }

  static async open(directory: string, durability: Durability): Promise<EngineRows> {
    // What the applier warns of while the disk fails is expected.
    return new EngineRows(await openDatabase({ directory, durability, passwordCost: PASSWORD_COST, onWarning: () => undefined }));
  }

  async create(): Promise<void> {
    await this.#run('CREATE NAMESPACE IF NOT EXISTS faults');
    await this.#run('CREATE TABLE IF NOT EXISTS faults.rows (id BIGINT PRIMARY KEY, body TEXT NOT NULL)');
  }

  async insert(id: number): Promise<void> {
    await this.#run(`INSERT INTO faults.rows (id, body) VALUES (${id}, '${bodyOf(id)}')`);
  }

  /** The ids that are there; throws when a row is not the one that was written. */
  async ids(): Promise<readonly number[]> {
    const [result] = await this.database.session(OWNER).execute('SELECT id, body FROM faults.rows ORDER BY id');
    const rows = result !== undefined && 'rows' in result ? result.rows : [];
    return rows.map(([id, body]) => {
      if (body !== bodyOf(Number(id))) throw new Error(`row ${id} is ${body}`);
      return Number(id);
    });
  }

  async #run(sql: string): Promise<void> {
    await this.database.session(OWNER).execute(sql);
  }
}

const bodyOf = (id: number): string => `row ${id} `.repeat(40);
