import { KalamError, kalamError } from '@kalamdb/protocol';
import { segmentNames } from '@kalamdb/storage';

/**
 * What a failure means for a segment that is being written: those of the system and of LMDB, which may pass, are SEGMENT_WRITE_FAILED; every other one
 * stays what it is. Nothing was published, so it can be tried again.
 */
export function diskFailure(error: unknown, path: string): unknown {
  if (!isOfDisk(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return kalamError('SEGMENT_WRITE_FAILED', { path, reason: reason.slice(0, 300) }, { cause: error });
}

/** Reads the hot tier for the segment of a number, with the errors of {@link diskFailure}. */
export function readHot<T>({ number }: { readonly number: number }, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw diskFailure(error, segmentNames(number).path);
  }
}

/** The system's codes are words, those of LMDB numbers. */
function isOfDisk(error: unknown): boolean {
  if (error instanceof KalamError || !(error instanceof Error) || !('code' in error)) return false;
  return typeof error.code === 'number' || (typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code));
}

/** The hot tier takes nothing now: its applier has said so in words of its own, and tries again by itself. */
export function applyFailure(error: unknown, path: string): unknown {
  if (!(error instanceof KalamError) || error.code !== 'INTERNAL_ERROR') return diskFailure(error, path);
  return kalamError('SEGMENT_WRITE_FAILED', { path, reason: error.message.slice(0, 300) }, { cause: error });
}
