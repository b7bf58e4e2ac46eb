import type { Random, Timers } from '@kalamdb/protocol';
import {
  CatchUp,
  type CommitLog,
  catchUp,
  type DataDirectory,
  type FileCommitLog,
  type FileSystem,
  type HotStore,
  type LmdbStore,
  openDataDirectory,
  openedBy,
  openFileLog,
  openLmdbStore,
  openMemoryLog,
  openMemoryStore,
  takeOverRestored,
} from '@kalamdb/storage';

/** The stores of an open database, the hot tier standing at the end of the log. */
export interface Storage {
  readonly log: CommitLog;
  readonly hot: HotStore;
  /** `undefined` in memory. */
  readonly directory: DataDirectory | undefined;
  /** `letGo` must close every further handle on the hot tier in this process; called before it is opened anew after a failure. */
  onReopen(letGo: () => Promise<void>): void;
  /** Closes everything, in the order that nothing depends on what is closed. */
  close(): Promise<void>;
}

/** What opening needs from outside. */
export interface StorageOptions {
  /** `undefined`: in memory, gone when it is closed. */
  readonly directory: string | undefined;
  readonly files: FileSystem;
  readonly timers: Timers;
  readonly random: Random;
  /** Size of each file of the log, 64 MiB unless given. */
  readonly logFileBytes?: number | undefined;
  /** Told when the hot tier's thread has ended too often to be started again. */
  readonly onFailed?: ((error: Error) => void) | undefined;
}

/**
 * Opens log and hot tier and brings the hot tier up to the end of the log. Throws DIRECTORY_LOCKED, FORMAT_UNKNOWN,
 * DAMAGED_DATA, and STORAGE_UNAVAILABLE when the system refuses a file; nothing stays open or locked then.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { directory, random } = options;
  if (directory === undefined)
    return assemble(openMemoryLog({ random, startSeq: 0n }), openMemoryStore(), { directory: undefined, onReopen: () => undefined });
  return openedBy(directory, () => openFiles(directory, options));
}

async function openFiles(directory: string, options: StorageOptions): Promise<Storage> {
  const { files, timers, random, onFailed, logFileBytes: fileBytes } = options;
  const opened = await openDataDirectory(directory, files);
  let hot: LmdbStore | undefined;
  let log: FileCommitLog | undefined;
  try {
    await takeOverRestored(files, opened.path);
    hot = await openLmdbStore({ path: opened.hotPath, random, timers, onFailed });
    const { incarnation, appliedSeq } = hot;
    const follower = new CatchUp(hot);
    log = await openFileLog({ directory: opened.logPath, files, timers, random, incarnation, startSeq: appliedSeq, fileBytes, follower });
    await catchUp(log, hot, follower);
    const store = hot;
    return assemble(log, hot, { directory: opened, onReopen: (letGo) => store.onReopen(letGo) });
  } catch (error) {
    // What opening failed with says more than what closing fails with after it.
    await closeInTurn(log, hot, opened).catch(() => undefined);
    throw error;
  }
}

function assemble(log: CommitLog, hot: HotStore, rest: Pick<Storage, 'directory' | 'onReopen'>): Storage {
  return {
    log,
    hot,
    ...rest,
    close: () => closeInTurn(hot, log, rest.directory),
  };
}

/** Closes each, also when one before it fails; rejects with the first failure. */
async function closeInTurn(...parts: readonly ({ close(): Promise<void> } | undefined)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of parts) await part?.close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
