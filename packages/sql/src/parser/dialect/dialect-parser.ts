import { type ErrorPosition, kalamError } from '@kalamdb/protocol';
import { checkText, errorPosition } from '../../lexer/position.ts';
import type { Statement } from '../../statement/ast.ts';
import type { ClassifiedStatement } from '../../statement/classify.ts';
import { parseAlterTable } from './alter-table.ts';
import { parseBackupDatabase, parseOneBackup, parseRestoreDatabase, parseShowBackups } from './backup-statements.ts';
import { parseCreateTable } from './create-table.ts';
import { parseExecuteAs } from './execute-as.ts';
import { parseExplain, parseSetOption } from './explain.ts';
import { parseExplainLive, parseKillJob, parseKillLiveQuery, parseSubscribeTo } from './live-statements.ts';
import {
  parseAlterNamespace,
  parseCreateNamespace,
  parseDropNamespace,
  parseShowNamespaces,
  parseUseNamespace,
} from './namespace-statements.ts';
import {
  parseAlterStorage,
  parseCreateStorage,
  parseDropStorage,
  parseStorageAll,
  parseStorageCheck,
  parseStorageTable,
} from './storage-statements.ts';
import {
  parseDescribeColumns,
  parseDescribeTable,
  parseDropTable,
  parseShowAll,
  parseShowColumns,
  parseShowStats,
  parseShowTables,
} from './table-statements.ts';
import { TokenReader } from './token-reader.ts';
import {
  parseBegin,
  parseCommit,
  parseReleaseSavepoint,
  parseRollback,
  parseRollbackToSavepoint,
  parseSavepoint,
} from './transaction-statements.ts';
import { parseAlterUser, parseCreateUser, parseDropUser } from './user-statements.ts';
import { parseCreateView, parseDropView } from './view-statements.ts';

const SIMPLE_PARSERS: ReadonlyMap<string, (reader: TokenReader) => Statement> = new Map([
  ['create-namespace', parseCreateNamespace],
  ['alter-namespace', parseAlterNamespace],
  ['drop-namespace', parseDropNamespace],
  ['show-namespaces', parseShowNamespaces],
  ['use-namespace', parseUseNamespace],
  ['alter-table', parseAlterTable],
  ['drop-table', parseDropTable],
  ['create-view', parseCreateView],
  ['drop-view', parseDropView],
  ['show-tables', parseShowTables],
  ['show-storages', parseShowAll],
  ['show-manifest', parseShowAll],
  ['show-columns', parseShowColumns],
  ['show-stats', parseShowStats],
  ['create-storage', parseCreateStorage],
  ['alter-storage', parseAlterStorage],
  ['drop-storage', parseDropStorage],
  ['storage-check', parseStorageCheck],
  ['storage-flush-table', parseStorageTable],
  ['storage-compact-table', parseStorageTable],
  ['storage-flush-all', parseStorageAll],
  ['storage-compact-all', parseStorageAll],
  ['backup-database', parseBackupDatabase],
  ['backup-verify', parseOneBackup],
  ['restore-database', parseRestoreDatabase],
  ['show-backup', parseOneBackup],
  ['show-backups', parseShowBackups],
  ['describe-table', parseDescribeTable],
  ['describe-columns', parseDescribeColumns],
  ['explain', parseExplain],
  ['explain-live', parseExplainLive],
  ['set-option', parseSetOption],
  ['kill-job', parseKillJob],
  ['kill-live-query', parseKillLiveQuery],
  ['subscribe-to', parseSubscribeTo],
  ['create-user', parseCreateUser],
  ['alter-user', parseAlterUser],
  ['drop-user', parseDropUser],
  ['begin', parseBegin],
  ['commit', parseCommit],
  ['rollback', parseRollback],
  ['savepoint', parseSavepoint],
  ['rollback-to-savepoint', parseRollbackToSavepoint],
  ['release-savepoint', parseReleaseSavepoint],
]);

/**
 * Parses a statement that only KalamDB has; what is not built yet comes back as `not-implemented`, unparsed. Throws SYNTAX_ERROR,
 * INVALID_CREATE_TABLE, INVALID_INPUT (EXECUTE AS USER) and INVALID_NAME, each with its position.
 */
export function parseDialect(text: string, statement: ClassifiedStatement): Statement {
  checkText(text);
  const parser = SIMPLE_PARSERS.get(statement.kind);
  if (parser !== undefined) return parser(new TokenReader(text));
  if (statement.kind === 'create-table') {
    const at = (position: number): { position: ErrorPosition } => ({ position: errorPosition(text, position) });
    return parseCreateTable(new TokenReader(text, (reason, position) => kalamError('INVALID_CREATE_TABLE', { reason }, at(position))));
  }
  if (statement.kind === 'execute-as-user') return parseExecuteAs(text);
  return { kind: 'not-implemented', what: statement.name };
}
