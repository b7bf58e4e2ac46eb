import { Buffer } from 'node:buffer';
import { dirname } from 'node:path';
import { type KalamError, kalamError, type Random, type Timer, type Timers } from '@kalamdb/protocol';
import type { CommitLog, Durability, LogEntry, RecordBlock } from '../contract.ts';
import type { FileSystem } from '../files/file-system.ts';
import { LogDirectory, type LogFileHandles } from './log-directory.ts';
import { checkEntries } from './log-entry.ts';
import type { LogFollower } from './log-follower.ts';
import {
  type ChainPoint,
  type EncodedRecords,
  encodeRecords,
  encodeRecordsSteps,
  headerSeed,
  type LogHeader,
  logHeaderBytes,
  logSaltBytes,
  recordOverheadBytes,
  recordsBytes,
} from './log-format.ts';
import { readRecords } from './log-reader.ts';
import { type FoundLog, recoverLog } from './log-recovery.ts';
import { LogReplay } from './log-replay.ts';
import { TaskQueue } from './task-queue.ts';

/** Size of a log file unless given. */
export const logFileBytesDefault: number = 64 * 1024 * 1024;
/** A relaxed append is synced after this long; with the sync itself that is within the promised 200 ms. */
export const relaxedSyncMillis: number = 150;
/** Records kept in memory until they are synced; an append that would pass it syncs first. */
export const unsyncedBytesMax: number = 64 * 1024 * 1024;

/** Options of {@link openFileLog}. */
export interface FileLogOptions {
  /** The log's folder; made if it is not there. */
  readonly directory: string;
  readonly files: FileSystem;
  readonly timers: Timers;
  readonly random: Random;
  /** The hot tier's applied point: the log must begin at or before it and end at or after it. */
  readonly startSeq: bigint;
  /** The hot tier's incarnation: a new log takes it over, an existing one must have it. */
  readonly incarnation?: string | undefined;
  /** Size of each file, {@link logFileBytesDefault} unless given. A larger group gets a larger file. */
  readonly fileBytes?: number | undefined;
  readonly follower?: LogFollower | undefined;
}

/** The file that appends go to. */
interface CurrentFile {
  readonly number: number;
  readonly handles: LogFileHandles;
  position: number;
  /** Checksum that the next record begins with. */
  seed: number;
  /** Marks records that were written when everything before them was on the disk. */
  readonly runTag: number;
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The commit log in files. */
export interface FileCommitLog extends CommitLog {
  /** {@link CommitLog.replay} in blocks, for a receiver that reads records in place: no entry becomes an object. */
  replayBlocks(afterSeq: bigint): AsyncIterable<RecordBlock>;
}

class FileLog implements FileCommitLog {
  readonly incarnation: string;
  readonly #files: FileSystem;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #startSeq: bigint;
  readonly #directory: LogDirectory;
  readonly #found: FoundLog | undefined;
  /** Appends, and everything else that moves the log's end, one at a time. */
  readonly #turns: TaskQueue = new TaskQueue();
  /** Numbers and bases of the files that are still there, oldest first, the current one last. */
  readonly #chain: { number: number; baseSeq: bigint }[] = [];
  #current: CurrentFile | undefined;
  #last: ChainPoint;
  #synced: ChainPoint;
  /** What was appended after {@link #synced}. */
  #unsynced: LogEntry[] = [];
  #unsyncedBytes = 0;
  /** The system said that a sync failed: what it holds of the current file may be lost, whatever a later sync says. */
  #syncFailure: unknown;
  #syncing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #readOnly: KalamError | undefined;
  #closed = false;

  constructor(options: FileLogOptions, directory: LogDirectory, found: FoundLog | undefined) {
    this.#files = options.files;
    this.#timers = options.timers;
    this.#random = options.random;
    this.#startSeq = options.startSeq;
    this.#directory = directory;
    this.#found = found;
    this.incarnation = found?.incarnation ?? options.incarnation ?? hexOf(options.random.bytes(16));
    this.#last = found?.end ?? { seq: options.startSeq, crc: 0 };
    this.#synced = this.#last;
    for (const { found: file } of found?.files ?? []) this.#chain.push({ number: file.header.number, baseSeq: file.header.base.seq });
  }

  get lastSeq(): bigint {
    return this.#last.seq;
  }

  get syncedSeq(): bigint {
    return this.#synced.seq;
  }

  /** Begins the first file of this opening: whatever lies behind the end of the one before can never come back. */
  async begin(): Promise<void> {
    for (const number of this.#found?.spent ?? []) this.#directory.recycle(number);
    await this.#continueInNewFile(0);
    this.release(this.#startSeq);
  }

  append(entries: readonly LogEntry[], durability: Durability): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#closed) throw kalamError('INTERNAL_ERROR', { reason: 'the log is closed' });
      if (this.#readOnly !== undefined) throw this.#readOnly;
      checkEntries(entries, this.#last.seq);
      const file = await this.#fileWithRoom(recordsBytes(entries));
      const encoded = await this.#encode(entries, file.seed, this.#unsynced.length === 0 ? file.runTag : undefined);
      const { bytes, crc } = encoded;
      try {
        await this.#write(file, bytes, durability);
      } catch (error) {
        await this.#cutOff(error);
      }
      file.position += bytes.length;
      file.seed = crc;
      this.#last = { seq: entries.at(-1)?.seq ?? this.#last.seq, crc };
      if (durability === 'sync') this.#markSynced(this.#last);
      else this.#keepUnsynced(entries, encoded);
    });
  }

  sync(): Promise<void> {
    return this.#turns.run(() => this.#makeSynced());
  }

  replay(afterSeq: bigint): AsyncIterable<LogEntry> {
    return new LogReplay(this.replayBlocks(afterSeq));
  }

  async *replayBlocks(afterSeq: bigint): AsyncGenerator<RecordBlock> {
    for (const { found, end } of this.#found?.files ?? []) {
      if (end.point.seq > afterSeq) yield* readRecords(this.#files, found, { afterSeq, end });
    }
  }

  release(seq: bigint): void {
    for (;;) {
      const [file, next] = this.#chain;
      if (file === undefined || next === undefined || next.baseSeq > seq) return;
      this.#chain.shift();
      this.#directory.recycle(file.number);
    }
  }

  close(): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#closed) return;
      this.#closed = true;
      this.#timer?.cancel();
      try {
        if (this.#readOnly === undefined) await this.#makeSynced();
      } finally {
        await this.#directory.idle();
        await this.#closeFile(this.#current);
      }
    });
  }

  /** Large groups are encoded in several turns of the event loop; nothing else is appended meanwhile. */
  async #encode(entries: readonly LogEntry[], seed: number, runTag: number | undefined): Promise<EncodedRecords> {
    const steps = encodeRecordsSteps(entries, seed, runTag);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await new Promise<void>((resolve) => this.#timers.soon(resolve));
    }
  }

  async #write(file: CurrentFile, bytes: Uint8Array, durability: Durability): Promise<void> {
    // A synced write covers only its own bytes: what is not synced before it would leave a hole in the chain.
    const plain = durability === 'relaxed' || this.#unsynced.length > 0;
    const written = await (plain ? file.handles.plain : file.handles.synced).write(bytes, file.position);
    if (written !== bytes.length) throw new Error(`the system wrote ${written} of ${bytes.length} bytes`);
    if (plain && durability === 'sync') await this.#syncCurrent();
  }

  /** The payloads are kept as views of what was written: the caller may do with its own what it likes. */
  #keepUnsynced(entries: readonly LogEntry[], { bytes, payloadStart }: EncodedRecords): void {
    let start = payloadStart;
    for (const { seq, payload } of entries) {
      this.#unsynced.push({ seq, payload: bytes.subarray(start, start + payload.length) });
      start += payload.length + recordOverheadBytes;
    }
    this.#unsyncedBytes += bytes.length;
    this.#timer ??= this.#timers.after(relaxedSyncMillis, () => void this.#syncInTime());
  }

  #markSynced(point: ChainPoint): void {
    this.#synced = point;
    this.#unsynced = this.#unsynced.filter((entry) => entry.seq > point.seq);
    this.#unsyncedBytes = recordsBytes(this.#unsynced);
  }

  /** The current file, or the next one if `bytes` do not fit. A failure here has written nothing: LOG_WRITE_FAILED, and the log goes on. */
  async #fileWithRoom(bytes: number): Promise<CurrentFile> {
    const file = this.#current;
    const fits = file !== undefined && file.position + bytes <= file.handles.bytes;
    if (this.#unsyncedBytes + bytes > unsyncedBytesMax || !fits || this.#syncFailure !== undefined) await this.#makeSynced();
    if (fits && this.#current === file) return file;
    const next = this.#current;
    if (next !== undefined && next !== file && next.position + bytes <= next.handles.bytes) return next;
    return this.#continueInNewFile(bytes);
  }

  /** After a failed write: a new file whose header cuts the group off. Throws what the group's statements are answered. */
  async #cutOff(cause: unknown): Promise<never> {
    try {
      // A sync on its way must not report into the new file.
      await this.#syncing?.catch(() => undefined);
      await this.#continueInNewFile(0);
    } catch (error) {
      this.#readOnly = kalamError('COMMIT_OUTCOME_UNKNOWN', { reason: `${textOf(cause)}; then ${textOf(error)}` }, { cause });
      throw this.#readOnly;
    }
    throw kalamError('LOG_WRITE_FAILED', { reason: textOf(cause) }, { cause });
  }

  /**
   * Continues in a new file that begins after the last synced commit and carries what was appended since. Throws LOG_WRITE_FAILED
   * when the log is as it was, COMMIT_OUTCOME_UNKNOWN when that cannot be said any more (the log is read-only then).
   */
  async #continueInNewFile(bytes: number): Promise<CurrentFile> {
    const base = this.#synced;
    const carried = this.#unsynced;
    const header: LogHeader = {
      incarnation: this.incarnation,
      number: this.#nextNumber(),
      base,
      salt: hexOf(this.#random.bytes(logSaltBytes)),
    };
    const runTag = headerSeed(header);
    const records = encodeRecords(carried, runTag);
    const position = logHeaderBytes + records.bytes.length;
    const prepared = await this.#directory.prepare(header, records.bytes, position + bytes).catch((error: unknown) => {
      throw kalamError('LOG_WRITE_FAILED', { reason: `no new log file: ${textOf(error)}` }, { cause: error });
    });
    await this.#directory.publish(prepared).catch((error: unknown) => {
      this.#readOnly = kalamError(
        'COMMIT_OUTCOME_UNKNOWN',
        { reason: `a new log file may or may not count: ${textOf(error)}` },
        { cause: error },
      );
      throw this.#readOnly;
    });
    const left = this.#current;
    const current: CurrentFile = { number: header.number, handles: prepared.handles, position, seed: records.crc, runTag };
    this.#current = current;
    this.#chain.push({ number: header.number, baseSeq: base.seq });
    const carriedLast = carried.at(-1);
    this.#last = carriedLast === undefined ? base : { seq: carriedLast.seq, crc: records.crc };
    this.#syncFailure = undefined;
    this.#markSynced(this.#last);
    await this.#closeFile(left);
    this.#directory.prepareSpare();
    return current;
  }

  #nextNumber(): number {
    return Math.max(this.#chain.at(-1)?.number ?? 0, this.#found?.spent.at(-1) ?? 0) + 1;
  }

  /** Everything appended is on the disk when this resolves, in the current file or, if it could not be synced, in a new one. */
  async #makeSynced(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#unsynced.length === 0) return;
    const target = this.#last;
    try {
      await this.#syncCurrent();
      this.#markSynced(target);
    } catch {
      if (this.#readOnly !== undefined) throw this.#readOnly;
      await this.#continueInNewFile(0);
    }
  }

  /** One sync of the current file at a time; after a failed one each further one fails too, until a new file is begun. */
  async #syncCurrent(): Promise<void> {
    // Its failure is kept in `#syncFailure`, which is looked at next.
    await this.#syncing?.catch(() => undefined);
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
    const file = this.#current;
    if (file === undefined) return;
    const sync = file.handles.plain.sync().catch((error: unknown) => {
      this.#syncFailure = error ?? new Error('the sync failed');
      throw error;
    });
    this.#syncing = sync;
    try {
      await sync;
    } finally {
      if (this.#syncing === sync) this.#syncing = undefined;
    }
  }

  /** The timer's sync runs beside appends, which go on meanwhile; only when it fails do they wait for the new file. */
  async #syncInTime(): Promise<void> {
    this.#timer = undefined;
    const target = this.#last;
    try {
      await this.#syncCurrent();
      if (target.seq > this.#synced.seq) this.#markSynced(target);
      if (this.#unsynced.length > 0 && !this.#closed) this.#timer ??= this.#timers.after(relaxedSyncMillis, () => void this.#syncInTime());
    } catch {
      await this.sync().catch(() => {
        if (!this.#closed) this.#timer ??= this.#timers.after(relaxedSyncMillis, () => void this.#syncInTime());
      });
    }
  }

  async #closeFile(file: CurrentFile | undefined): Promise<void> {
    await this.#syncing?.catch(() => undefined);
    // Everything in it is synced or cut off: whether it closes well changes nothing.
    await file?.handles.plain.close().catch(() => undefined);
    await file?.handles.synced.close().catch(() => undefined);
  }
}

/**
 * Opens the commit log in a folder: reads what is there, refuses what does not fit (see {@link recoverLog}), and begins a new file.
 * One process at a time: the caller holds the data directory's lock.
 */
export async function openFileLog(options: FileLogOptions): Promise<FileCommitLog> {
  const { files, startSeq } = options;
  const source = await LogDirectory.open(files, options.directory, options.fileBytes ?? logFileBytesDefault);
  await files.syncDirectory(dirname(options.directory));
  const found = await recoverLog(files, source, { startSeq, incarnation: options.incarnation, follower: options.follower });
  const log = new FileLog(options, source.directory, found);
  await log.begin();
  return log;
}
