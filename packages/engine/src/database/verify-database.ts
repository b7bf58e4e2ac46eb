import { systemFiles, type VerifiedPart, verifyDirectory } from '@kalamdb/storage';

/**
 * Reads everything in a data directory that no server has open, and answers what was found of each part. Rows are not changed. Throws
 * DIRECTORY_LOCKED, FORMAT_UNKNOWN and STORAGE_UNAVAILABLE.
 */
export function verifyDatabase(directory: string): Promise<readonly VerifiedPart[]> {
  return verifyDirectory(directory, systemFiles);
}
