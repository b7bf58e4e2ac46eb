import { Buffer } from 'node:buffer';
import { kalamError, type Random } from '@kalamdb/protocol';
import type { CommitLog, Durability, LogEntry } from '../contract.ts';
import { checkEntries } from './log-entry.ts';

/** What a memory log leaves behind when it is closed: hand it to the next one and that one continues it, as a file log would. */
export interface MemoryLogImage {
  incarnation: string;
  entries: LogEntry[];
}

/** Options of {@link openMemoryLog}. */
export interface MemoryLogOptions {
  readonly random: Random;
  /** The hot tier's applied point. */
  readonly startSeq: bigint;
  /** Where the entries are kept; absent: nowhere that outlives the log. */
  readonly image?: MemoryLogImage;
}

/** An empty image with a fresh incarnation. */
export function memoryLogImage(random: Random): MemoryLogImage {
  return { incarnation: Buffer.from(random.bytes(16)).toString('hex'), entries: [] };
}

class MemoryLog implements CommitLog {
  readonly incarnation: string;
  readonly #image: MemoryLogImage;
  readonly #found: readonly LogEntry[];
  #lastSeq: bigint;
  #closed = false;

  constructor(image: MemoryLogImage, startSeq: bigint) {
    this.#image = image;
    this.incarnation = image.incarnation;
    this.#found = [...image.entries];
    this.#lastSeq = image.entries.at(-1)?.seq ?? startSeq;
  }

  get lastSeq(): bigint {
    return this.#lastSeq;
  }

  get syncedSeq(): bigint {
    return this.#lastSeq;
  }

  async append(entries: readonly LogEntry[], _durability: Durability): Promise<void> {
    if (this.#closed) throw kalamError('INTERNAL_ERROR', { reason: 'the log is closed' });
    checkEntries(entries, this.#lastSeq);
    for (const { seq, payload } of entries) {
      this.#image.entries.push({ seq, payload: Uint8Array.from(payload) });
      this.#lastSeq = seq;
    }
  }

  async sync(): Promise<void> {}

  async *replay(afterSeq: bigint): AsyncIterable<LogEntry> {
    for (const entry of this.#found) if (entry.seq > afterSeq) yield entry;
  }

  release(seq: bigint): void {
    const kept = this.#image.entries.findIndex((entry) => entry.seq > seq);
    this.#image.entries.splice(0, kept === -1 ? this.#image.entries.length : kept);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}

/** A commit log that lives in memory: for databases without a directory, and as the simple half of the conformance suite. */
export function openMemoryLog(options: MemoryLogOptions): CommitLog {
  return new MemoryLog(options.image ?? memoryLogImage(options.random), options.startSeq);
}
