import { MessageChannel, type Transferable, Worker } from 'node:worker_threads';
import { ERRORS, type ErrorCode, KalamError, kalamError, type Timers } from '@kalamdb/protocol';
import type { PurgedRows } from '../contract.ts';
import type { ApplierAnswer, ApplierCall, ApplierStart, ApplierStore } from './applier-messages.ts';
import { WriteGate } from './write-gate.ts';

/** Megabytes for young objects: a thread takes twice as many of its own accord, and keeps them. */
const youngMegabytesMax = 16;
/** Calls that wait for the thread. The sequencer sends one batch at a time, so this is never reached by it. */
export const pendingCallsMax: number = 256;
/** Times that a thread which died is replaced before the store gives up; an answered call sets the count back. */
export const restartsMax: number = 3;
/** Milliseconds from a thread's last word until it is gone. One that takes longer hangs inside a transaction. */
const endMillisMax = 5_000;

/** The compiled module, from `src/hot` and from `dist/hot` alike: a thread cannot load TypeScript. */
export const applierModule: URL = new URL('../../dist/hot/applier-worker.js', import.meta.url);

/** What a call that succeeded came to. */
export interface ApplierResult {
  readonly appliedSeq: bigint;
  /** Of a purge: what it removed. */
  readonly purged: PurgedRows | undefined;
}

interface Pending {
  readonly resolve: (result: ApplierResult) => void;
  readonly reject: (error: Error) => void;
}

/** What an {@link ApplierThread} works with. */
export interface ApplierThreadParts {
  readonly store: ApplierStore;
  /** The module that the thread runs. */
  readonly module: URL;
  readonly timers: Timers;
  /** Told when nothing can be applied any more: the thread has died too often, or inside a transaction, which only the end of the process ends. */
  readonly onFailed?: ((error: Error) => void) | undefined;
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);

/**
 * The applier's thread seen from the main thread. If it dies, the calls it had not answered are rejected with INTERNAL_ERROR (each of
 * them may or may not have happened; sending a batch again is safe) and a new one is started; after {@link restartsMax}
 * deaths in a row every call is rejected.
 *
 * A thread that is ended inside a transaction (V8 does so when its heap is full) hangs with LMDB's write lock in its hand: none can take its
 * place. That it has ended is known by its port, which is closed first.
 */
export class ApplierThread {
  readonly #parts: ApplierThreadParts;
  readonly #pending: Pending[] = [];
  #worker: Worker | undefined;
  #deaths = 0;
  #closing = false;
  #broken = false;

  /** Resolves when the thread has opened the store and rejects with what kept it from that. Calls may be made before. */
  readonly ready: Promise<void>;

  /** Starts the thread. */
  constructor(parts: ApplierThreadParts) {
    this.#parts = parts;
    this.ready = this.#launch();
    // Whoever does not ask is told by the calls.
    this.ready.catch(() => undefined);
  }

  /** Whether the thread has ended because LMDB refuses everything: a new one is of use once this thread's handle has been closed too. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Carries out a call behind all earlier ones. */
  call(call: ApplierCall, transfer: readonly Transferable[] = []): Promise<ApplierResult> {
    const worker = this.#worker;
    if (worker === undefined || this.#closing) {
      return Promise.reject(kalamError('INTERNAL_ERROR', { reason: this.#closing ? 'the hot store is closed' : 'the applier has failed' }));
    }
    if (this.#pending.length >= pendingCallsMax)
      return Promise.reject(kalamError('INTERNAL_ERROR', { reason: 'too many calls wait for the applier' }));
    if (call.kind === 'close') this.#closing = true;
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      worker.postMessage(call, transfer);
    });
  }

  /** Ends the thread after the calls made so far. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined || this.#closing) return;
    const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    await this.call({ kind: 'close' });
    await ended;
  }

  #launch(): Promise<void> {
    const gate = new WriteGate();
    const { port1: life, port2 } = new MessageChannel();
    const start: ApplierStart = { ...this.#parts.store, gate: gate.words, life: port2 };
    const resourceLimits = { maxYoungGenerationSizeMb: youngMegabytesMax };
    const worker = new Worker(this.#parts.module, { workerData: start, transferList: [port2], resourceLimits });
    gate.guard();
    this.#worker = worker;
    life.once('close', () => {
      const hangs = this.#parts.timers.after(endMillisMax, () => this.#hangs(worker, gate));
      worker.once('exit', () => hangs.cancel());
    });
    return new Promise((resolve, reject) => {
      let cause: unknown;
      worker.on('message', (answer: ApplierAnswer) => {
        if (answer.kind === 'ready') resolve();
        else this.#answered(answer);
      });
      worker.on('error', (error) => {
        cause = error;
      });
      worker.on('exit', () => {
        gate.unguard();
        reject(cause);
        this.#died(worker, cause);
      });
    });
  }

  #answered(answer: Exclude<ApplierAnswer, { kind: 'ready' }>): void {
    const pending = this.#pending.shift();
    this.#deaths = 0;
    if (answer.kind === 'failed' && answer.broken) {
      this.#broken = true;
      this.#worker = undefined;
      for (const { reject } of this.#pending.splice(0))
        reject(kalamError('INTERNAL_ERROR', { reason: 'the applier ended before it answered' }));
    }
    if (answer.kind === 'done') pending?.resolve(answer);
    else if (isErrorCode(answer.code)) pending?.reject(new KalamError(answer.code, answer.message));
    else pending?.reject(kalamError('INTERNAL_ERROR', { reason: answer.message }));
  }

  #died(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = this.#pending.splice(0);
    if (!this.#closing && this.#deaths < restartsMax) {
      this.#deaths += 1;
      // A thread that cannot start dies in its turn and is counted there.
      this.#launch().catch(() => undefined);
    } else if (!this.#closing) this.#parts.onFailed?.(new Error('the applier thread has died too often', { cause }));
    for (const { reject } of waiting) reject(kalamError('INTERNAL_ERROR', { reason: 'the applier ended before it answered' }, { cause }));
  }

  #hangs(worker: Worker, gate: WriteGate): void {
    gate.hangs();
    worker.unref();
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#parts.onFailed?.(new Error('the applier thread has died inside a transaction, whose lock only the end of the process releases'));
    for (const { reject } of this.#pending.splice(0))
      reject(kalamError('INTERNAL_ERROR', { reason: 'the applier ended before it answered' }));
  }
}
