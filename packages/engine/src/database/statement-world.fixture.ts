import { type Cell, type Clock, KalamError } from '@kalamdb/protocol';
import type { Principal, StatementResult } from '../contract.ts';
import type { LiveFrame } from '../live/frame.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { type DatabaseOptions, databaseOn, openDatabase } from './open-database.ts';

/** The principal of most statements. */
export const ROOT: Principal = { userId: 'root', role: 'system' };

/** A clock that stands still until a test moves it. */
export class SetClock implements Clock {
  millis = 1_795_000_000_000;

  now(): number {
    return this.millis;
  }

  elapsed(): number {
    return this.millis;
  }
}

/** One change as a subscriber was told of it. */
export interface Change {
  readonly change: string;
  readonly rows: readonly Record<string, unknown>[];
  readonly old: readonly Record<string, unknown>[];
}

/** A database under statements whose answers a test compares. */
export class StatementWorld {
  readonly database: Database;
  #subscriptions = 0;

  private constructor(database: Database) {
    this.database = database;
  }

  /** Opens one in memory, or in a directory, with the namespace `app` when it is new. */
  static async open(options: Partial<Pick<DatabaseOptions, 'directory' | 'clock' | 'jobs' | 'cold'>> = {}): Promise<StatementWorld> {
    const world = new StatementWorld(await openDatabase({ durability: 'relaxed', directory: undefined, ...options }));
    await world.run('CREATE NAMESPACE IF NOT EXISTS app');
    return world;
  }

  /** Opens one on stores of the test's. */
  static async on(storage: Parameters<typeof databaseOn>[0]): Promise<StatementWorld> {
    const world = new StatementWorld(await databaseOn(storage, { directory: undefined, durability: 'sync', onWarning: () => undefined }));
    await world.run('CREATE NAMESPACE app');
    return world;
  }

  close(): Promise<void> {
    return this.database.close();
  }

  /** All results of a request. */
  results(sql: string, principal: Principal = ROOT, parameters: readonly Cell[] = []): Promise<readonly StatementResult[]> {
    return this.database.session(principal, { namespace: 'app' }).execute(sql, parameters);
  }

  /** The last result of a request: its rows, or its message. */
  async run(sql: string, principal: Principal = ROOT, parameters: readonly Cell[] = []): Promise<unknown> {
    const result = (await this.results(sql, principal, parameters)).at(-1);
    return result?.kind === 'rows' ? result.rows : result?.message;
  }

  /** {@link run}, or the code and the text of the error. */
  async outcome(sql: string, principal: Principal = ROOT): Promise<unknown> {
    try {
      return await this.run(sql, principal);
    } catch (error) {
      const found = error instanceof StatementError ? error.failure.error : error;
      if (found instanceof KalamError) return `${found.code}: ${found.message}`;
      throw error;
    }
  }

  /** Moves all rows of a table in `app` into segments: those of everybody, or of one owner. */
  async flush(name: string, owner = ''): Promise<unknown> {
    const { cold } = this.database;
    const table = cold?.catalog.table('app', name);
    if (cold === undefined || table === undefined) throw new Error('there is no cold tier, or no such table');
    return cold.flusher.flushPartition(table.partitionFor(owner));
  }

  /** Merges all segments of a table in `app`: those of everybody, or of one owner. */
  async compact(name: string, owner = '', extent: 'all' | 'due' = 'all'): Promise<void> {
    const { cold } = this.database;
    const table = cold?.catalog.table('app', name);
    if (cold === undefined || table === undefined) throw new Error('there is no cold tier, or no such table');
    await cold.compactor.compactPartition(table.partitionFor(owner), { extent });
  }

  /** What a subscriber is told from now on, and how to end it. */
  async follow(sql: string, principal: Principal = ROOT): Promise<{ readonly changes: Change[]; close(): void }> {
    const changes: Change[] = [];
    const id = `s${++this.#subscriptions}`;
    const deliver = (frame: LiveFrame): void => {
      if (frame.kind === 'error') throw new Error(frame.message);
      if (frame.kind !== 'change') return;
      const { change_type: change, rows = [], old_values: old = [] } = JSON.parse(`{${frame.body.json()}}`);
      changes.push({ change, rows, old });
    };
    const connection = this.database.live.connect(principal, { connectionId: id, sink: { deliver } });
    await connection.subscribe({ id, sql, options: undefined });
    while (this.database.live.list().find(({ connectionId }) => connectionId === id)?.state !== 'live') {
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { changes, close: () => connection.close() };
  }
}
