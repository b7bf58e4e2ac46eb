import { systemRandom, systemTimers } from '@kalamdb/protocol';
import { systemFiles } from '@kalamdb/storage';
import { type RestoredFigures, restoreDirectory } from '../backup/restore-directory.ts';

/**
 * Makes a data directory, in which nothing may lie yet, from the backup of a whole database in a folder; no server is needed. Throws
 * RESTORE_REFUSED, DIRECTORY_LOCKED, BACKUP_DIRECTORY_MISSING, BACKUP_MISSING, BACKUP_DAMAGED, and STORAGE_UNAVAILABLE when the system refuses
 * a file; the directory has no data then.
 */
export function restoreDatabase(from: string, directory: string): Promise<RestoredFigures> {
  return restoreDirectory({ from, directory, files: systemFiles, random: systemRandom, timers: systemTimers });
}
