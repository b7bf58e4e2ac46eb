import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import { DirectoryLock } from './directory-lock.ts';
import type { FileSystem } from './file-system.ts';
import { publishFile } from './whole-file.ts';

/** Format version of the data directory as a whole: what lies where. Raised with every change that an older release would misread. */
export const directoryFormat: number = 2;
/** Formats that this release takes over: 1 knows no rows that mask cold ones. */
const takenOver: ReadonlySet<string> = new Set(['1']);

const FORMAT_NAME = 'format.json';

/** An open data directory. Nobody else opens it until `close`. */
export interface DataDirectory {
  readonly path: string;
  /** Folder of the commit log's files. */
  readonly logPath: string;
  /** Folder of the hot tier. */
  readonly hotPath: string;
  /** Releases the lock; everything that was opened inside must be closed before. */
  close(): Promise<void>;
}

const foundFormat = (content: Uint8Array): string => {
  const text = Buffer.from(content).toString('utf8');
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'format' in parsed) return String(parsed.format);
  } catch {
    // Not JSON: reported as what it is.
  }
  return 'unreadable';
};

const checkFormat = async (files: FileSystem, path: string): Promise<void> => {
  const formatPath = join(path, FORMAT_NAME);
  const content = files.readSync(formatPath);
  const known = directoryFormat;
  if (content !== undefined) {
    const found = foundFormat(content);
    if (found === String(known)) return;
    if (!takenOver.has(found)) throw kalamError('FORMAT_UNKNOWN', { path, found, known });
    await publishFormat(files, formatPath);
    return;
  }
  for (const name of ['log', 'hot']) {
    if ((await files.stat(join(path, name))) === undefined) continue;
    throw kalamError('DAMAGED_DATA', { where: `the data directory '${path}'`, reason: `${FORMAT_NAME} is missing although there is data` });
  }
  await publishFormat(files, formatPath);
};

const publishFormat = (files: FileSystem, formatPath: string): Promise<void> =>
  publishFile(files, formatPath, Buffer.from(`${JSON.stringify({ format: directoryFormat })}\n`));

/**
 * Opens a data directory, making it if it is not there: takes its lock (DIRECTORY_LOCKED names the process that has it) and checks
 * `format.json`, `{"format":2}` (FORMAT_UNKNOWN for a version that it does not know, and for data without the file).
 */
export async function openDataDirectory(path: string, files: FileSystem): Promise<DataDirectory> {
  await files.makeDirectory(path);
  const lock = await DirectoryLock.take(files, path);
  try {
    await checkFormat(files, path);
  } catch (error) {
    await lock.release();
    throw error;
  }
  return { path, logPath: join(path, 'log'), hotPath: join(path, 'hot'), close: () => lock.release() };
}
