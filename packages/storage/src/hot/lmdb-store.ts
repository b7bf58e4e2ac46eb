import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { MessageChannel, type Transferable } from 'node:worker_threads';
import { type Random, systemRandom, systemTimers, type Timers } from '@kalamdb/protocol';
import type { ExpiredTombstones, FlushedRows, HotSnapshot, HotStore, LogEntry, PurgedRows } from '../contract.ts';
import { systemFiles } from '../files/file-system.ts';
import { commitName } from '../log/commit-codec.ts';
import { blockSteps } from '../log/record-place.ts';
import type { ApplierCall } from './applier-messages.ts';
import { type ApplierResult, ApplierThread, applierModule } from './applier-thread.ts';
import type { GatheredCommits } from './gathered-commits.ts';
import { LmdbSnapshot } from './lmdb-snapshot.ts';
import { type LmdbTables, mapBytesDefault, openTables, readState } from './lmdb-tables.ts';
import { sendPacked } from './packed-stream.ts';
import { ReadTransactions } from './read-transactions.ts';
import { RowPacker } from './row-packer.ts';
import { checkedAtOpenBytesMax, checkStoreFile } from './store-check.ts';

/** Options of {@link openLmdbStore}. */
export interface LmdbStoreOptions {
  /** The hot tier's folder; made if it is not there. */
  readonly path: string;
  /** Address space for the map, {@link mapBytesDefault} unless given. */
  readonly mapBytes?: number | undefined;
  /** For the incarnation of a new store. */
  readonly random?: Random | undefined;
  /** For the age of views that the store has moved on from. */
  readonly timers?: Timers | undefined;
  /** The module that the applier's thread runs; another one only in tests that make the thread die. */
  readonly applier?: URL | undefined;
  /**
   * Told when nothing can be applied any more: the applier's thread has died too often, which opening the store anew makes good, or inside
   * a transaction, which only the end of the process does.
   */
  readonly onFailed?: ((error: Error) => void) | undefined;
}

/** The hot store on LMDB. */
export interface LmdbStore extends HotStore {
  /** 16 random bytes as hex, made with the store. A new log takes it over (`openFileLog`), so that the two know each other again. */
  readonly incarnation: string;
  /** {@link HotStore.apply} of commits that were gathered behind the applied point, which this thread packs while the applier writes. */
  applyGathered(gathered: GatheredCommits): Promise<void>;
  /** Resolves when the applier's thread stands ready, and rejects with why it cannot start. */
  ready(): Promise<void>;
  /** Read transactions that are open in this thread. */
  readonly liveTransactions: number;
  /**
   * `letGo` is called before LMDB is opened anew after a failure of the disk: it closes the handles that others in this process
   * have on it, without which it cannot be. It must not reject.
   */
  onReopen(letGo: () => Promise<void>): void;
}

type CopyStep = IteratorResult<undefined, Uint8Array<ArrayBuffer>>;

class ThreadedLmdbStore implements LmdbStore {
  readonly incarnation: string;
  readonly #timers: Timers;
  readonly #startThread: () => ApplierThread;
  readonly #openTables: () => LmdbTables;
  #tables: LmdbTables;
  #thread: ApplierThread;
  #transactions: ReadTransactions;
  #appliedSeq: bigint;
  #repair: Promise<void> | undefined;
  /** Batches are being copied that are not on their way to the applier yet. */
  #copying: Promise<void> | undefined;
  readonly #letGo: (() => Promise<void>)[] = [];

  constructor(parts: StoreParts) {
    const { tables } = parts;
    const state = readState(tables);
    this.#timers = parts.timers;
    this.#startThread = parts.startThread;
    this.#openTables = parts.openTables;
    this.#tables = tables;
    this.#thread = parts.thread;
    this.#transactions = new ReadTransactions(tables, parts.timers);
    this.#appliedSeq = state?.appliedSeq ?? 0n;
    this.incarnation = state?.incarnation ?? '';
  }

  get appliedSeq(): bigint {
    return this.#appliedSeq;
  }

  get liveTransactions(): number {
    return this.#transactions.liveCount;
  }

  ready(): Promise<void> {
    return this.#thread.ready;
  }

  onReopen(letGo: () => Promise<void>): void {
    this.#letGo.push(letGo);
  }

  snapshot(): HotSnapshot {
    return new LmdbSnapshot(this.#tables, this.#transactions.current());
  }

  /** Many bytes are copied in several turns of the event loop; later calls wait for that. */
  apply(entries: readonly LogEntry[]): Promise<void> {
    const steps = blockSteps(entries);
    const first = steps.next();
    const begin = (block: Uint8Array<ArrayBuffer>): Promise<void> => this.#apply({ kind: 'apply', blocks: [block] }, [block.buffer]);
    if (first.done === true && this.#copying === undefined) return begin(first.value);
    const begun = this.#copied(first, steps, this.#copying).then((block) => ({ applied: begin(block) }));
    const copying = begun.then(() => {
      if (this.#copying === copying) this.#copying = undefined;
    });
    this.#copying = copying;
    return begun.then(({ applied }) => applied);
  }

  async #copied(
    first: CopyStep,
    steps: Iterator<undefined, Uint8Array<ArrayBuffer>>,
    before?: Promise<void>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    await before;
    for (let step = first; ; step = steps.next()) {
      if (step.done === true) return step.value;
      await new Promise<void>((resolve) => this.#timers.soon(resolve));
    }
  }

  async applyGathered({ rows, afterSeq, lastSeq }: GatheredCommits): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    const sent = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const applied = this.#apply({ kind: 'apply-packed', afterSeq, lastSeq, pieces: { port: port2, sent } }, [port2]);
    const packer = new RowPacker((bytes) => Buffer.allocUnsafeSlow(bytes));
    await sendPacked(packer.pack(rows), { port: port1, sent }, applied);
    await applied;
  }

  async #apply(call: ApplierCall, transfer: readonly Transferable[]): Promise<void> {
    const { appliedSeq } = await this.#call(call, transfer);
    this.#transactions.moveOn();
    this.#appliedSeq = appliedSeq;
  }

  async purge(tableId: number, rowsMax: number): Promise<PurgedRows> {
    if (this.#copying !== undefined) await this.#copying;
    const { purged } = await this.#call({ kind: 'purge', tableId, rowsMax });
    this.#transactions.moveOn();
    return purged ?? { rows: 0, bytes: 0, more: false };
  }

  async purgeFlushed(flushed: FlushedRows, rowsMax: number): Promise<PurgedRows> {
    if (this.#copying !== undefined) await this.#copying;
    const { purged } = await this.#call({ kind: 'purge-flushed', flushed, rowsMax });
    this.#transactions.moveOn();
    return purged ?? { rows: 0, bytes: 0, more: false };
  }

  async purgeTombstones(expired: ExpiredTombstones): Promise<PurgedRows> {
    if (this.#copying !== undefined) await this.#copying;
    const { purged } = await this.#call({ kind: 'purge-tombstones', expired });
    this.#transactions.moveOn();
    return purged ?? { rows: 0, bytes: 0, more: false };
  }

  async load(payload: Uint8Array): Promise<void> {
    if (this.#copying !== undefined) await this.#copying;
    const steps = blockSteps([{ seq: commitName(payload), payload }]);
    let step = steps.next();
    while (step.done !== true) {
      await new Promise<void>((resolve) => this.#timers.soon(resolve));
      step = steps.next();
    }
    await this.#call({ kind: 'load', block: step.value }, [step.value.buffer]);
    this.#transactions.moveOn();
  }

  async close(): Promise<void> {
    if (this.#copying !== undefined) await this.#copying;
    // What could not be repaired was answered to the call that found it.
    await this.#repair?.catch(() => undefined);
    this.#transactions.close();
    await this.#thread.close();
    await this.#tables.root.close();
  }

  async #call(call: ApplierCall, transfer: readonly Transferable[] = []): Promise<ApplierResult> {
    if (this.#thread.broken) await this.#repaired();
    try {
      return await this.#thread.call(call, transfer);
    } catch (error) {
      if (this.#thread.broken) await this.#repaired();
      throw error;
    }
  }

  #repaired(): Promise<void> {
    this.#repair ??= this.#reopen().finally(() => {
      this.#repair = undefined;
    });
    return this.#repair;
  }

  /** Opens LMDB anew. Views end with SNAPSHOT_TOO_OLD; new ones can be taken at once. */
  async #reopen(): Promise<void> {
    this.#transactions.end();
    await Promise.all(this.#letGo.map((letGo) => letGo()));
    this.#transactions.end();
    const closed = this.#tables.root.close();
    this.#tables = this.#openTables();
    this.#transactions = new ReadTransactions(this.#tables, this.#timers);
    await closed;
    const thread = this.#startThread();
    await thread.ready;
    this.#thread = thread;
    this.#transactions.moveOn();
    this.#appliedSeq = readState(this.#tables)?.appliedSeq ?? 0n;
  }
}

/** What a {@link ThreadedLmdbStore} is made of, and how it gets new ones. */
interface StoreParts {
  readonly tables: LmdbTables;
  readonly thread: ApplierThread;
  readonly timers: Timers;
  readonly openTables: () => LmdbTables;
  readonly startThread: () => ApplierThread;
}

/**
 * Opens the hot tier in a folder. Reads go through this thread's handle; the applier has a thread and a handle of its own.
 * Throws DAMAGED_DATA naming file and page, or FORMAT_UNKNOWN.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<LmdbStore> {
  const mapBytes = options.mapBytes ?? mapBytesDefault;
  await checkStoreFile(systemFiles, join(options.path, 'data.mdb'), checkedAtOpenBytesMax);
  const open = (): LmdbTables => openTables(options.path, { mapBytes });
  const tables = open();
  try {
    const isNew = readState(tables) === undefined;
    const incarnation = Buffer.from((options.random ?? systemRandom).bytes(16)).toString('hex');
    const timers = options.timers ?? systemTimers;
    const store = { path: options.path, mapBytes, incarnation };
    const { applier: module = applierModule, onFailed } = options;
    const startThread = (): ApplierThread => new ApplierThread({ store, module, timers, onFailed });
    const thread = startThread();
    // It writes the first state record. Of a store that has one it is not needed before there is something to apply.
    if (isNew) await thread.ready;
    tables.root.resetReadTxn();
    return new ThreadedLmdbStore({ tables, thread, timers, openTables: open, startThread });
  } catch (error) {
    await tables.root.close();
    throw error;
  }
}
