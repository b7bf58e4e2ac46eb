import { KalamError, kalamError, type Timer, type Timers } from '@kalamdb/protocol';
import type { CommitLog, HotStore, LogEntry } from '@kalamdb/storage';

/** Milliseconds between two batches when there is little to apply. */
export const APPLY_INTERVAL_MILLIS = 100;
/** Log bytes that start a batch at once. */
export const APPLY_BATCH_BYTES: number = 4 * 1024 * 1024;
/** Milliseconds before a failed batch is tried again. */
export const APPLY_RETRY_MILLIS = 500;

/** What the applier tells its owner. */
export interface ApplierEvents {
  /** The applied point has moved. */
  applied(): void;
  /** A batch failed and will be tried again. */
  failed(error: unknown): void;
}

interface BatchFailure {
  readonly error: unknown;
}

/**
 * Carries durable commits from the log into the hot tier, whole and in order, in batches. A failing batch is tried again
 * for ever: the log keeps what it needs meanwhile, and the overlay's bound makes writers wait.
 */
export class Applier {
  readonly #log: CommitLog;
  readonly #hot: HotStore;
  readonly #timers: Timers;
  readonly #events: ApplierEvents;
  #queue: LogEntry[] = [];
  #queueBytes = 0;
  /** Name of the newest commit that was pushed. */
  #pushedSeq = 0n;
  /** The batch on its way, one at a time; resolves to why it failed. */
  #running: Promise<BatchFailure | undefined> | undefined;
  #timer: Timer | undefined;
  /** The last batch failed: the next one waits for its time. */
  #failing = false;
  #closing = false;
  #closed = false;
  /** Told when the applied point has moved, and when it will not move any more. */
  #waiters: (() => void)[] = [];

  constructor(sources: { log: CommitLog; hot: HotStore; timers: Timers; events: ApplierEvents }) {
    this.#log = sources.log;
    this.#hot = sources.hot;
    this.#timers = sources.timers;
    this.#events = sources.events;
  }

  /** Takes commits that are in the log, in order. */
  push(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.#queue.push(entry);
      this.#queueBytes += entry.payload.byteLength;
      this.#pushedSeq = entry.seq;
    }
    this.#goOn();
  }

  /** Resolves when everything pushed so far is in the hot tier; rejects when a batch fails, which is tried again all the same. */
  async flush(): Promise<void> {
    const target = this.#pushedSeq;
    while (this.#hot.appliedSeq < target) {
      const failure = await this.#start();
      if (failure !== undefined) throw failure.error;
    }
  }

  /**
   * Resolves when everything pushed so far is in the hot tier, whatever fails until then. Throws WRITES_BUSY after `millisMax`, and
   * SHUTTING_DOWN when it is closed before.
   */
  async settled(millisMax: number): Promise<void> {
    const target = this.#pushedSeq;
    if (this.#hot.appliedSeq >= target) return;
    let late = false;
    const timeUp = (): void => {
      late = true;
      this.#wake();
    };
    const timer = this.#timers.after(millisMax, timeUp, { keepAlive: true });
    try {
      // Begins at once; what fails is told where it fails, and tried again in its time.
      void this.flush().catch(() => undefined);
      while (this.#hot.appliedSeq < target) {
        if (this.#closed) throw kalamError('SHUTTING_DOWN');
        if (late) throw kalamError('WRITES_BUSY', { millis: millisMax });
        await new Promise<void>((resolve) => this.#waiters.push(resolve));
      }
    } finally {
      timer.cancel();
    }
  }

  /** Applies what is left and stops; a failure leaves the rest to the next opening, which replays the log. */
  async close(): Promise<void> {
    this.#closing = true;
    // Its failure was told when it happened.
    await this.flush().catch(() => undefined);
    this.#timer?.cancel();
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Sees to it that what is queued will be applied: at once when it is much, else when the time has come. */
  #goOn(): void {
    if (this.#queue.length === 0 || this.#running !== undefined) return;
    if (this.#queueBytes >= APPLY_BATCH_BYTES && !this.#failing) void this.#start();
    else if (!this.#closing) {
      this.#timer ??= this.#timers.after(this.#failing ? APPLY_RETRY_MILLIS : APPLY_INTERVAL_MILLIS, () => void this.#start());
    }
  }

  #start(): Promise<BatchFailure | undefined> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<BatchFailure | undefined> {
    this.#timer?.cancel();
    this.#timer = undefined;
    let failure: BatchFailure | undefined;
    try {
      await this.#applyOnce();
    } catch (error) {
      failure = { error };
      this.#events.failed(error);
    }
    this.#failing = failure !== undefined;
    this.#running = undefined;
    this.#goOn();
    return failure;
  }

  async #applyOnce(): Promise<void> {
    const batch = this.#takeBatch();
    try {
      // A power cut must not leave the hot tier ahead of the log.
      if (this.#log.syncedSeq < (batch.at(-1)?.seq ?? 0n)) await this.#log.sync();
      await this.#hot.apply(batch);
    } catch (error) {
      this.#queue = [...batch, ...this.#queue];
      for (const entry of batch) this.#queueBytes += entry.payload.byteLength;
      throw error instanceof KalamError ? error : new Error('the hot tier refused a batch', { cause: error });
    }
    this.#log.release(this.#hot.appliedSeq);
    this.#events.applied();
    this.#wake();
  }

  #takeBatch(): readonly LogEntry[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && bytes < APPLY_BATCH_BYTES) bytes += this.#queue[count++]?.payload.byteLength ?? 0;
    const batch = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#queueBytes -= bytes;
    return batch;
  }
}
