import { join } from 'node:path';
import { KalamError, kalamError } from '@kalamdb/protocol';
import { openDataDirectory } from '../files/data-directory.ts';
import type { FileSystem } from '../files/file-system.ts';
import { openedBy } from '../files/opening-failure.ts';
import { verifyLog } from '../log/verify-log.ts';
import { type HotState, mapBytesDefault, openTables, readState } from './lmdb-tables.ts';
import { checkStoreFile } from './store-check.ts';

/** What was found of one part of a data directory. */
export interface VerifiedPart {
  readonly part: 'hot tier' | 'commit log';
  /** A sentence for a person. */
  readonly text: string;
  /** Why the part is refused; `undefined` when it is as it was written. */
  readonly failure: KalamError | undefined;
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
  const tables = openTables(path, mapBytesDefault);
  try {
    return readState(tables);
  } finally {
    await tables.root.close();
  }
}

/**
 * Reads a data directory that nobody has open, all of it, whatever its size: each page and row of the hot tier, its index, and the
 * commits of the log that it does not hold. Neither is changed. Throws DIRECTORY_LOCKED, FORMAT_UNKNOWN and STORAGE_UNAVAILABLE;
 * what is damaged is in the answer.
 */
export function verifyDirectory(path: string, files: FileSystem): Promise<readonly VerifiedPart[]> {
  return openedBy(path, async () => {
    // A misspelt path must not make an empty database that is found to be sound.
    if ((await files.stat(path)) === undefined)
      throw kalamError('STORAGE_UNAVAILABLE', { path, reason: 'there is no such directory', advice: 'Give the path of a data directory.' });
    const directory = await openDataDirectory(path, files);
    try {
      let state: HotState | undefined;
      const hot = await verified('hot tier', async () => {
        const depth = await checkStoreFile(files, join(directory.hotPath, 'data.mdb'), Number.POSITIVE_INFINITY);
        if (depth === 'nothing there') return 'there is none yet';
        state = await readHotState(directory.hotPath);
        return `every page and row is as it was written, up to commit ${state?.appliedSeq ?? 0n}`;
      });
      if (hot.failure !== undefined) return [hot];
      const log = await verified('commit log', async () => {
        const expected = { startSeq: state?.appliedSeq ?? 0n, incarnation: state?.incarnation };
        const { commits, rows, lastSeq } = await verifyLog(files, directory.logPath, expected);
        return `${commits} commits with ${rows} rows that the hot tier does not hold yet, up to commit ${lastSeq}`;
      });
      return [hot, log];
    } finally {
      await directory.close();
    }
  });
}
