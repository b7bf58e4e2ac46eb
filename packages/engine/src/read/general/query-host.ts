import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { systemClock, systemTimers } from '@kalamdb/protocol';
import { loadDuckDb, loadVectorBindings, openInstance, openLmdbReader } from '@kalamdb/storage';
import { ReceivedTables } from '../received-tables.ts';
import { KEPT_SCHEMA, KeptTables } from './kept-tables.ts';
import type { QueryCall, QueryStart } from './query-messages.ts';
import { type ThreadParts, ThreadQuery } from './thread-query.ts';

/** Share of DuckDB's memory for tables that outlive their query. */
const KEPT_SHARE = 0.25;

/** The query thread's own side: runs the queries that the main thread sends, as many at a time as it sends. */
export interface QueryHost {
  handle(call: Exclude<QueryCall, { kind: 'close' }>): void;
  /** Ends what runs, and then DuckDB and the handle on the hot tier. */
  close(): Promise<void>;
}

/** Opens DuckDB and the hot tier in this thread. */
export async function openQueryHost(start: QueryStart, reply: ThreadParts['reply']): Promise<QueryHost> {
  const { path, memoryBytesMax, threads, folders: directories } = start;
  const [db, bindings] = await Promise.all([loadDuckDb(), loadVectorBindings()]);
  const instance = await openInstance(db, { memoryBytesMax, threads, directories });
  const keeping = await instance.connect();
  await keeping.run(`CREATE SCHEMA "${KEPT_SCHEMA}"`);
  const parts: ThreadParts = {
    modules: { db, bindings },
    instance,
    kept: new KeptTables(memoryBytesMax * KEPT_SHARE, keeping),
    reader: path === undefined ? undefined : openLmdbReader(path),
    tables: new ReceivedTables(),
    memoryBytesMax,
    clock: systemClock,
    timers: systemTimers,
    reply,
  };
  return new RunningHost(parts, instance, keeping);
}

class RunningHost implements QueryHost {
  readonly #parts: ThreadParts;
  readonly #instance: DuckDBInstance;
  readonly #keeping: DuckDBConnection;
  readonly #queries = new Map<number, ThreadQuery>();
  readonly #running = new Set<Promise<void>>();
  #isClosing = false;

  constructor(parts: ThreadParts, instance: DuckDBInstance, keeping: DuckDBConnection) {
    this.#parts = parts;
    this.#instance = instance;
    this.#keeping = keeping;
  }

  handle(call: Exclude<QueryCall, { kind: 'close' }>): void {
    if (call.kind !== 'query') {
      this.#queries.get(call.id)?.take(call);
      return;
    }
    // Nothing may begin to read what is about to be closed; the end of the thread is its answer.
    if (this.#isClosing) return;
    const { id } = call;
    const query = new ThreadQuery(this.#parts, id, call.query);
    this.#queries.set(id, query);
    const run = query.run().finally(() => {
      this.#queries.delete(id);
      this.#running.delete(run);
    });
    this.#running.add(run);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const query of this.#queries.values()) query.end();
    await Promise.allSettled(this.#running);
    this.#keeping.closeSync();
    this.#instance.closeSync();
    await this.#parts.reader?.close();
  }
}
