import type { WireErrorCode } from './error-spec.ts';
import type { KalamError } from './kalam-error.ts';

/** What roles below dba read instead of a text that is not for them (wire-protocol 3.13). */
const genericTexts: Readonly<Partial<Record<WireErrorCode, string>>> = {
  BATCH_PARSE_ERROR: 'Failed to parse SQL batch',
  SQL_EXECUTION_ERROR: 'SQL statement failed',
  INVALID_SQL: 'SQL statement is invalid or not allowed',
  INTERNAL_ERROR: 'SQL request failed',
};

/** The text of an error as a caller may see it: the error's own for admins (dba, system) and for texts that are for everyone, else the generic one of its wire code. */
export function wireMessage(error: KalamError, viewer: { readonly admin: boolean }): string {
  const { visible, wire } = error.spec;
  return viewer.admin || visible ? error.message : (genericTexts[wire] ?? 'Request failed');
}
