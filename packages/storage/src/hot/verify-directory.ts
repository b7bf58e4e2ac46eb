import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { KalamError, kalamError } from '@kalamdb/protocol';
import type { CommitRow, PartitionId } from '../contract.ts';
import { openDataDirectory } from '../files/data-directory.ts';
import type { FileSystem } from '../files/file-system.ts';
import { openedBy } from '../files/opening-failure.ts';
import { decodeCommit } from '../log/commit-codec.ts';
import { type CommitVisitor, verifyLog } from '../log/verify-log.ts';
import { openLmdbReader } from './lmdb-reader.ts';
import { type HotState, mapBytesDefault, openTables, readState } from './lmdb-tables.ts';
import { checkStoreFile } from './store-check.ts';

/** What was found of one part of a data directory. */
export interface VerifiedPart {
  readonly part: 'hot tier' | 'commit log' | 'cold tier';
  /** A sentence for a person. */
  readonly text: string;
  /** Why the part is refused; `undefined` when it is as it was written. */
  readonly failure: KalamError | undefined;
}

/** A row of a directory that nobody has open. */
export type VerifiedRow = Pick<CommitRow, 'key' | 'deleted' | 'bytes'>;

/** What else is looked at once hot tier and log are found to be sound, while the directory is still held. */
export interface FurtherCheck {
  /** Partitions that are small: their rows are gathered in memory. */
  readonly partitions: readonly PartitionId[];
  /** `rows` answers the newest version of every row of one of them, those of the log included. */
  check(rows: (partition: PartitionId) => readonly VerifiedRow[]): Promise<readonly VerifiedPart[]>;
}

/** The newest rows of some partitions. */
class NewestRows {
  readonly #rows = new Map<string, Map<string, VerifiedRow>>();
  readonly #partitions: readonly PartitionId[];

  constructor(partitions: readonly PartitionId[]) {
    this.#partitions = partitions;
    for (const partition of partitions) this.#rows.set(nameOf(partition), new Map());
  }

  rows(partition: PartitionId): readonly VerifiedRow[] {
    return [...(this.#rows.get(nameOf(partition))?.values() ?? [])];
  }

  async addHot(path: string): Promise<void> {
    const reader = openLmdbReader(path);
    try {
      const snapshot = reader.snapshot();
      for (const partition of this.#partitions) for (const row of snapshot.scan(partition)) this.#add(partition, row);
      snapshot.close();
    } finally {
      await reader.close();
    }
  }

  get visitor(): CommitVisitor {
    return {
      tables: new Set(this.#partitions.map(({ tableId }) => tableId)),
      visit: (payload) => {
        for (const { partition, rows } of decodeCommit(payload).parts) for (const row of rows) this.#add(partition, row);
      },
    };
  }

  #add(partition: PartitionId, { key, deleted, bytes }: VerifiedRow): void {
    this.#rows.get(nameOf(partition))?.set(key, { key, deleted, bytes: Buffer.from(bytes) });
  }
}

function nameOf({ tableId, owner }: PartitionId): string {
  return `${tableId} ${owner}`;
}

async function verified(part: VerifiedPart['part'], verify: () => Promise<string>): Promise<VerifiedPart> {
  try {
    return { part, text: await verify(), failure: undefined };
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    return { part, text: error.message, failure: error };
  }
}

async function readHotState(path: string): Promise<HotState | undefined> {
  const tables = openTables(path, { mapBytes: mapBytesDefault });
  try {
    return readState(tables);
  } finally {
    await tables.root.close();
  }
}

/**
 * Reads a data directory that nobody has open, all of it, whatever its size: each page and row of the hot tier, its index, and the
 * commits of the log that it does not hold. Neither is changed. Throws DIRECTORY_LOCKED, FORMAT_UNKNOWN and STORAGE_UNAVAILABLE;
 * what is damaged is in the answer, and then `further` is not asked.
 */
export function verifyDirectory(path: string, files: FileSystem, further?: FurtherCheck): Promise<readonly VerifiedPart[]> {
  return openedBy(path, async () => {
    // A misspelt path must not make an empty database that is found to be sound.
    if ((await files.stat(path)) === undefined)
      throw kalamError('STORAGE_UNAVAILABLE', { path, reason: 'there is no such directory', advice: 'Give the path of a data directory.' });
    const directory = await openDataDirectory(path, files);
    const newest = new NewestRows(further?.partitions ?? []);
    try {
      let state: HotState | undefined;
      const hot = await verified('hot tier', async () => {
        const depth = await checkStoreFile(files, join(directory.hotPath, 'data.mdb'), Number.POSITIVE_INFINITY);
        if (depth === 'nothing there') return 'there is none yet';
        state = await readHotState(directory.hotPath);
        await newest.addHot(directory.hotPath);
        return `every page and row is as it was written, up to commit ${state?.appliedSeq ?? 0n}`;
      });
      if (hot.failure !== undefined) return [hot];
      const log = await verified('commit log', async () => {
        const expected = { startSeq: state?.appliedSeq ?? 0n, incarnation: state?.incarnation, visitor: newest.visitor };
        const { commits, rows, lastSeq } = await verifyLog(files, directory.logPath, expected);
        return `${commits} commits with ${rows} rows that the hot tier does not hold yet, up to commit ${lastSeq}`;
      });
      if (log.failure !== undefined || further === undefined) return [hot, log];
      return [hot, log, ...(await further.check((partition) => newest.rows(partition)))];
    } finally {
      await directory.close();
    }
  });
}
