import { Worker } from 'node:worker_threads';
import type { Clock, Timers } from '@kalamdb/protocol';

/** Milliseconds that a thread that is to close may take before it is ended. */
const CLOSE_MILLIS_MAX = 2000;
/** Deaths without an answer in between after which no thread is started for a while. */
const DEATHS_MAX = 3;
/** That while. */
const REST_MILLIS = 10_000;

/** Megabytes for young objects: a thread takes twice as many of its own accord, and keeps them. */
const YOUNG_MEGABYTES_MAX = 16;

/** What a {@link WorkerThread} is made of. */
export interface WorkerThreadParts<Call, Answer> {
  /** The compiled module: a thread cannot load TypeScript. */
  readonly module: URL;
  /** What makes it end by itself. */
  readonly close: Call;
  readonly clock: Clock;
  readonly timers: Timers;
  /** What the next thread is started with. */
  start(): unknown;
  answered(answer: Answer): void;
  /** It has ended; nothing it was asked will be answered. `cause` is what it threw. */
  died(cause: unknown): void;
}

/** A worker thread that is started when something is sent to it, and started anew when it has died. It does not keep its process alive. */
export class WorkerThread<Call, Answer> {
  readonly #parts: WorkerThreadParts<Call, Answer>;
  #worker: Worker | undefined;
  #deaths = 0;
  #restUntil = 0;

  constructor(parts: WorkerThreadParts<Call, Answer>) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** It rests after it has died several times in a row. */
  get isReady(): boolean {
    return this.#deaths < DEATHS_MAX || this.#parts.clock.elapsed() >= this.#restUntil;
  }

  /** Sends a message; starts the thread when there is none. */
  post(call: Call, transfer: ArrayBuffer[] = []): void {
    this.#worker ??= this.#launch();
    this.#worker.postMessage(call, transfer);
  }

  /** Sends a message to the thread if it runs. */
  tell(call: Call, transfer: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(call, transfer);
  }

  /** It has done what it was asked: whatever it dies of later is another matter. */
  worked(): void {
    this.#deaths = 0;
  }

  /** Ends the thread at once, whatever it does; it may be started again. */
  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }

  /** Ends the thread, which may be started again: as it ends by itself, or after a while without asking. */
  async end(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    worker.postMessage(this.#parts.close);
    const timer = this.#parts.timers.after(CLOSE_MILLIS_MAX, () => void worker.terminate(), { keepAlive: true });
    await ended;
    timer.cancel();
    // Nothing is wrong with one that ends when it is told.
    this.#deaths = 0;
  }

  #launch(): Worker {
    const { module, clock } = this.#parts;
    const worker = new Worker(module, {
      workerData: this.#parts.start(),
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES_MAX },
    });
    let cause: unknown;
    worker.on('message', (answer: Answer) => this.#parts.answered(answer));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      this.#deaths += 1;
      this.#restUntil = clock.elapsed() + REST_MILLIS;
      this.#parts.died(cause);
    });
    // A database that nobody closes does not keep its process alive because of an idle thread.
    worker.unref();
    return worker;
  }
}
