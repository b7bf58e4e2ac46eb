import { constants } from 'node:os';
import { KalamError, kalamError } from '@kalamdb/protocol';

/** What to do about a refusal of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'Make space on its disk.',
  EDQUOT: 'Make space in the quota of the user that the server runs as.',
  EFBIG: 'Raise the limit of file sizes (ulimit -f).',
  EMFILE: 'Raise the limit of open files (ulimit -n).',
  ENFILE: 'Close files of other programs, or raise the limit of open files of the system.',
  EACCES: 'Give the user that the server runs as the right to read and write it.',
  EPERM: 'Give the user that the server runs as the right to read and write it.',
  EROFS: 'Its file system can only be read: make it writable, or choose another directory.',
  EIO: 'Its disk fails: see what the system logs say. If it stays so, restore a backup on another disk.',
  ENOMEM: 'Give the process more memory or address space (ulimit -v).',
  ENOTDIR: 'A file lies where a directory is wanted: choose another directory.',
  EEXIST: 'A file lies where a directory is wanted: choose another directory.',
};
const OTHER_ADVICE = 'Remove the cause; nothing was changed that would stand in the way.';

/** LMDB's words for refusals of the system, where it gives no code. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/No space left/, 'ENOSPC'],
  [/File too large/, 'EFBIG'],
  [/Too many open files/, 'EMFILE'],
  [/Permission denied/, 'EACCES'],
  [/Read-only file system/, 'EROFS'],
  [/Input\/output error/, 'EIO'],
  [/Cannot allocate memory/, 'ENOMEM'],
];

/** The system's code in an error or in what caused it: LMDB gives a number or only words. */
function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  const name = typeof code === 'number' ? Object.entries(constants.errno).find(([, number]) => number === code)?.[0] : undefined;
  return name ?? systemCode(error.cause) ?? WORDS.find(([words]) => words.test(error.message))?.[1];
}

/** Errors that say exactly what is wrong already. */
const isSpecific = (error: unknown): boolean =>
  error instanceof KalamError && !['LOG_WRITE_FAILED', 'COMMIT_OUTCOME_UNKNOWN', 'INTERNAL_ERROR'].includes(error.code);

/** Runs `open`, which opens the data directory at `path`. A refusal of the system becomes STORAGE_UNAVAILABLE, which says what to do about it. */
export async function openedBy<T>(path: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    const code = isSpecific(error) ? undefined : systemCode(error);
    if (code === undefined) throw error;
    const reason = error instanceof Error ? error.message : code;
    const advice = ADVICE[code] ?? OTHER_ADVICE;
    throw kalamError('STORAGE_UNAVAILABLE', { path, reason, advice }, { cause: error });
  }
}
