import { isAdmin, type Role, StatementError } from '@kalamdb/engine';
import { type ErrorSpec, KalamError, kalamError, wireMessage } from '@kalamdb/protocol';

/** What a client is told about a failure. */
export interface SqlFailure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** The SQL text of the failed statement; only for dba and system. */
  readonly details: string | undefined;
}

/**
 * Puts a failure into the words its reader may see (wire-protocol 3.13): a statement's failure is numbered; for other
 * roles than dba and system texts that could tell something about foreign data become generic. What is no error of the
 * table becomes INTERNAL_ERROR; its text goes to the log only.
 */
export function sqlFailure(error: unknown, role: Role | undefined): SqlFailure {
  const admin = role !== undefined && isAdmin(role);
  if (error instanceof StatementError) return statementFailure(error, admin);
  const known = error instanceof KalamError ? error : kalamError('INTERNAL_ERROR', { reason: 'see the server log' });
  return { status: known.spec.status, code: known.spec.wire, message: wireMessage(known, { admin }), details: undefined };
}

function statementFailure({ failure }: StatementError, admin: boolean): SqlFailure {
  const { spec } = failure.error;
  const text = wireMessage(failure.error, { admin });
  return {
    status: spec.status,
    code: spec.wire,
    message:
      admin || spec.visible ? `Statement ${failure.statement} failed: ${text}${placeOf(failure.error, text)}${hintOf(spec, text)}` : text,
    details: admin ? failure.sql : undefined,
  };
}

/** Where in the statement the error is, unless the text says so itself. */
function placeOf({ position }: KalamError, text: string): string {
  return position === undefined || text.includes('Line:') ? '' : ` at Line: ${position.line}, Column: ${position.column}`;
}

/** What the caller can do next, behind the text in PostgreSQL's manner; refusals say all there is to say. */
function hintOf({ next, wire }: ErrorSpec, text: string): string {
  if (wire !== 'SQL_EXECUTION_ERROR') return '';
  return `${text.endsWith('.') ? '' : '.'} Hint: ${next}`;
}

/** Whether a failure is a bug or the machine's fault and belongs in the log. */
export function isUnexpected(error: unknown): boolean {
  const cause = error instanceof StatementError ? error.failure.error : error;
  return !(cause instanceof KalamError) || cause.spec.status === 500;
}
