import { KalamError, kalamError } from '@kalamdb/protocol';

const OUT_OF_MEMORY = /^Out of Memory Error|(?:failed to|could not) allocate/i;
const INTERRUPTED = /^INTERRUPT Error/;

/** The error of the table that a failure of DuckDB over a segment's file is: what is not a lack of memory is damage. */
export function readFailure(error: unknown, path: string, memoryBytesMax: number): Error {
  if (error instanceof KalamError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (INTERRUPTED.test(message)) return kalamError('QUERY_INTERRUPTED');
  if (OUT_OF_MEMORY.test(message)) return kalamError('QUERY_TOO_LARGE', { max: memoryBytesMax, what: 'bytes of memory' });
  return kalamError('DAMAGED_DATA', { where: `the segment ${path}`, reason: firstLine(message) }, { cause: error });
}

/** The same for a segment that is being written: nobody knows it yet, so writing it again is safe. */
export function writeFailure(error: unknown, path: string): Error {
  if (error instanceof KalamError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return kalamError('SEGMENT_WRITE_FAILED', { path, reason: firstLine(message) }, { cause: error });
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').slice(0, 300);
}
