import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Random, Timers } from '@kalamdb/protocol';
import {
  catchUp,
  type ExpiredTombstones,
  type FlushedRows,
  type HotSnapshot,
  type HotStore,
  type LmdbStore,
  type LogEntry,
  openDataDirectory,
  openFileLog,
  openLmdbStore,
  type PurgedRows,
  systemFiles,
} from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import type { Storage } from './open-storage.ts';

/** The compiled applier, as `openLmdbStore` runs it. */
const APPLIER = new URL('../../../storage/dist/hot/applier-worker.js', import.meta.url);

/**
 * How the hot tier falls behind: it takes no batch; each one takes some turns of the event loop; some are refused; or the applier's thread
 * ends, before it has carried a batch out or after that and before it says so.
 */
export type Lag = 'none' | 'paused' | 'slow' | 'failing' | 'dies before' | 'dies after';

/** Every kind of {@link Lag}. */
export const LAGS: readonly Lag[] = ['none', 'paused', 'slow', 'failing', 'dies before', 'dies after'];

/** A real hot tier whose batches a test can hold back, slow down and make fail. */
export class LaggingStore implements HotStore {
  readonly counts: Record<string, number> = {};
  readonly #hot: LmdbStore;
  readonly #random = new SeededRandom(7);
  readonly #deathFile: string;
  #lag: Lag = 'none';
  #resumed: (() => void)[] = [];

  constructor(hot: LmdbStore, deathFile: string) {
    this.#hot = hot;
    this.#deathFile = deathFile;
  }

  get appliedSeq(): bigint {
    return this.#hot.appliedSeq;
  }

  get lag(): Lag {
    return this.#lag;
  }

  set lag(lag: Lag) {
    this.#lag = lag;
    if (lag.startsWith('dies')) writeFileSync(this.#deathFile, lag);
    else rmSync(this.#deathFile, { force: true });
    if (lag === 'paused') return;
    for (const go of this.#resumed) go();
    this.#resumed = [];
  }

  snapshot(): HotSnapshot {
    return this.#hot.snapshot();
  }

  async apply(entries: readonly LogEntry[]): Promise<void> {
    if (this.#lag === 'paused') await new Promise<void>((resolve) => this.#resumed.push(resolve));
    const lag = this.#lag;
    if (lag === 'slow')
      for (let turns = this.#random.integer(200); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    if (lag === 'failing' && this.#random.integer(2) === 0) {
      this.#note('refused');
      throw new Error('the hot tier takes no batch');
    }
    try {
      await this.#hot.apply(entries);
    } catch (error) {
      this.#note(existsSync(this.#deathFile) ? 'failed' : `died (${lag})`);
      throw error;
    }
    this.#note(`applied (${lag})`);
  }

  purge(tableId: number, rowsMax: number): Promise<PurgedRows> {
    return this.#hot.purge(tableId, rowsMax);
  }

  purgeFlushed(flushed: FlushedRows, rowsMax: number): Promise<PurgedRows> {
    return this.#hot.purgeFlushed(flushed, rowsMax);
  }

  purgeTombstones(expired: ExpiredTombstones): Promise<PurgedRows> {
    return this.#hot.purgeTombstones(expired);
  }

  load(payload: Uint8Array): Promise<void> {
    return this.#hot.load(payload);
  }

  close(): Promise<void> {
    this.lag = 'none';
    return this.#hot.close();
  }

  #note(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** Opens a data directory as a database does, with a hot tier that can be made to lag. */
export async function openLaggingStorage(
  directory: string,
  environment: { readonly random: Random; readonly timers: Timers },
): Promise<Storage & { readonly hot: LaggingStore }> {
  const { random, timers } = environment;
  const opened = await openDataDirectory(directory, systemFiles);
  const deathFile = join(directory, 'dies');
  const applier = mortalApplier(directory, deathFile);
  const hot = await openLmdbStore({ path: opened.hotPath, random, timers, applier });
  const { incarnation, appliedSeq } = hot;
  const log = await openFileLog({ directory: opened.logPath, files: systemFiles, timers, random, incarnation, startSeq: appliedSeq });
  await catchUp(log, hot);
  const lagging = new LaggingStore(hot, deathFile);
  const close = async (): Promise<void> => {
    await lagging.close();
    await log.close();
    await opened.close();
  };
  return { log, hot: lagging, directory: opened, onReopen: (letGo) => hot.onReopen(letGo), close };
}

/** The real applier in a module that ends its thread once when the file tells it to, and takes the file away. */
function mortalApplier(directory: string, deathFile: string): URL {
  const code = `
import { readFileSync, rmSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
const file = ${JSON.stringify(deathFile)};
const due = (when) => {
  try {
    if (readFileSync(file, 'utf8') !== when) return false;
    rmSync(file);
    return true;
  } catch {
    return false;
  }
};
const on = parentPort.on.bind(parentPort);
const post = parentPort.postMessage.bind(parentPort);
let isCall = false;
parentPort.on = (name, handler) => on(name, (call) => {
  isCall = call.kind === 'apply';
  if (isCall && due('dies before')) process.exit(1);
  handler(call);
});
parentPort.postMessage = (...answer) => (isCall && due('dies after') ? process.exit(1) : post(...answer));
await import(${JSON.stringify(APPLIER.href)});
`;
  const file = join(directory, 'mortal-applier.mjs');
  writeFileSync(file, code);
  return pathToFileURL(file);
}
