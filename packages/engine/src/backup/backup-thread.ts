import { Worker } from 'node:worker_threads';
import { kalamError, type Timers } from '@kalamdb/protocol';
import type { BackedUpTable } from './backup-manifest.ts';
import {
  type BackupAnswer,
  type BackupCall,
  type CheckedChunk,
  type ChunkToCheck,
  type ReadChunk,
  receivedFailure,
} from './backup-messages.ts';

/** Milliseconds that the thread may take to end by itself. */
const END_MILLIS_MAX = 2000;
/** The compiled module, from `src/backup` and from `dist/backup` alike: a thread cannot load TypeScript. */
const BACKUP_MODULE: URL = new URL('../../dist/backup/backup-worker.js', import.meta.url);

interface Waiting {
  readonly resolve: (answer: Exclude<BackupAnswer, { kind: 'failed' }>) => void;
  readonly reject: (error: unknown) => void;
}

/** The thread of one backup or restore, seen from the main thread. Whoever makes one closes it. */
export class BackupThread {
  readonly #timers: Timers;
  readonly #worker: Worker;
  /** Answers come in the order of the calls. */
  readonly #waiting: Waiting[] = [];
  readonly #ended: Promise<void>;
  #isOver = false;

  /** `hotPath` `undefined`: it only checks chunks. */
  constructor(hotPath: string | undefined, timers: Timers) {
    this.#timers = timers;
    this.#worker = new Worker(BACKUP_MODULE, { workerData: { hotPath } });
    let cause: unknown;
    this.#worker.on('message', (answer: BackupAnswer) => this.#answered(answer));
    this.#worker.on('error', (error) => {
      cause = error;
    });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    void this.#ended.then(() => {
      this.#isOver = true;
      for (const { reject } of this.#waiting.splice(0)) reject(kalamError('QUERY_INTERRUPTED', {}, { cause }));
    });
    this.#worker.unref();
  }

  /** Takes a view of the hot tier and answers its newest commit. */
  async open(namespace: string | undefined): Promise<bigint> {
    const answer = await this.#call({ kind: 'open', namespace });
    return answer.kind === 'opened' ? answer.seq : unexpected(answer);
  }

  /** The next chunk; behind the last one what tables there are. */
  async next(): Promise<{ readonly chunk: ReadChunk } | { readonly tables: readonly BackedUpTable[] }> {
    const answer = await this.#call({ kind: 'next' });
    if (answer.kind === 'chunk') return { chunk: answer.chunk };
    return answer.kind === 'tables' ? { tables: answer.tables } : unexpected(answer);
  }

  /** Looks through a chunk, whose memory is handed over. */
  async check(chunk: ChunkToCheck): Promise<CheckedChunk> {
    const { buffer, byteLength } = chunk.bytes;
    const isAlone = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
    const answer = await this.#call({ kind: 'check', chunk }, isAlone ? [buffer] : []);
    return answer.kind === 'checked' ? answer.chunk : unexpected(answer);
  }

  /** Ends the thread, and with it its handle on the hot tier. What it was doing fails. */
  async close(): Promise<void> {
    if (this.#isOver) return;
    this.#worker.postMessage({ kind: 'close' } satisfies BackupCall);
    const timer = this.#timers.after(END_MILLIS_MAX, () => void this.#worker.terminate(), { keepAlive: true });
    await this.#ended;
    timer.cancel();
  }

  #call(call: BackupCall, transfer: ArrayBuffer[] = []): Promise<Exclude<BackupAnswer, { kind: 'failed' }>> {
    if (this.#isOver) return Promise.reject(kalamError('QUERY_INTERRUPTED'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(call, transfer);
    });
  }

  #answered(answer: BackupAnswer): void {
    const waiting = this.#waiting.shift();
    if (answer.kind === 'failed') waiting?.reject(receivedFailure(answer));
    else waiting?.resolve(answer);
  }
}

function unexpected(answer: BackupAnswer): never {
  throw kalamError('INTERNAL_ERROR', { reason: `the backup's thread answered ${answer.kind}` });
}
