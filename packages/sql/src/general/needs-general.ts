import { KalamError } from '@kalamdb/protocol';

/**
 * Whether the compiled binder's error about a SELECT says only that it does not run such a query: then `planGeneral` has the last word,
 * and its error is the one to show.
 */
export function needsGeneral(error: unknown): boolean {
  return error instanceof KalamError && (error.code === 'NOT_IMPLEMENTED' || error.code === 'FUNCTION_NOT_FOUND');
}
