import type { Principal } from '@kalamdb/engine';
import type { ErrorCode } from '@kalamdb/protocol';
import type { GrammarStatement } from '@kalamdb/testing';

/** A request that fails with a certain error. */
export interface Provocation {
  readonly code: ErrorCode;
  readonly sql: string;
  readonly parameters: GrammarStatement['parameters'];
  /** Who sends it; `root` unless given. */
  readonly principal?: Principal | undefined;
}

const provoke = (code: ErrorCode, sql: string, parameters: Provocation['parameters'] = []): Provocation => ({ code, sql, parameters });

const HALF_MIB = 'x'.repeat(512 * 1024);
const concat = (times: number): string => `CONCAT(${Array.from({ length: times }, () => '$1').join(', ')})`;
const wideRows = (rows: number): string => Array.from({ length: rows }, (_, id) => `(${id + 100}, ${concat(6)}, true)`).join(', ');

/** The errors that random statements meet too seldom. */
export const PROVOCATIONS: readonly Provocation[] = [
  provoke('SQL_TOO_LONG', `SELECT '${'x'.repeat(1024 * 1024)}'`),
  provoke('UNTERMINATED_STRING', "SELECT 1; SELECT 'open"),
  provoke('UNTERMINATED_COMMENT', 'SELECT 1; /* open'),
  provoke('PARAMS_WITH_BATCH', 'SELECT $1; SELECT 2', [1]),
  provoke(
    'PARAMETER_COUNT_EXCEEDED',
    'SELECT $1',
    Array.from({ length: 51 }, () => 1),
  ),
  provoke('PARAMETER_SIZE_EXCEEDED', 'SELECT $1', [`${HALF_MIB}x`]),
  provoke('PARAMETER_COUNT_MISMATCH', 'SELECT $1, $2', [1]),
  provoke('INVALID_NAME', "CREATE USER 'a/b' WITH PASSWORD 'x' ROLE user"),
  provoke('INVALID_INPUT', "EXECUTE AS USER 'alice' ()"),
  provoke('INVALID_TYPE_PARAMETER', 'SELECT CAST(1 AS DECIMAL(99, 2))'),
  provoke('UNSUPPORTED_TYPE', 'SELECT CAST(1 AS MONEY)'),
  provoke('INVALID_TEXT', "SELECT CAST('x' AS INT)"),
  provoke('VALUE_OUT_OF_RANGE', 'SELECT CAST(3000000000 AS INT)'),
  provoke('COERCION_FAILED', "INSERT INTO g.items VALUES ('x', 'a', 1, true)"),
  provoke('EMBEDDING_DIMENSION', "SELECT CAST('[1,2]' AS EMBEDDING(3))"),
  provoke('DIVISION_BY_ZERO', 'SELECT 1 / 0'),
  provoke('INVALID_ARGUMENT', 'SELECT id FROM g.items LIMIT -1'),
  provoke('SUBQUERY_ROWS', 'UPDATE g.items SET n = (SELECT id FROM g.items) WHERE id = 1'),
  provoke('QUERY_FAILED', "UPDATE g.items SET txt = s.txt FROM g.secret s WHERE s.txt ~ CONCAT('(', g.items.txt)"),
  provoke('AGGREGATE_MISUSE', 'SELECT id, COUNT(*) FROM g.items'),
  provoke('INSERT_WIDTH', 'INSERT INTO g.items (id, txt) VALUES (1)'),
  provoke('STREAM_UPDATE', "UPDATE g.events SET txt = 'x' WHERE id = 1"),
  provoke('WHERE_REQUIRED', 'DELETE FROM g.items'),
  provoke('NOTHING_TO_COMPACT', 'STORAGE COMPACT ALL IN empty'),
  provoke('STORAGE_NOT_FOUND', 'STORAGE CHECK nowhere'),
  provoke('KEY_UPDATE', 'UPDATE g.items SET id = 5 WHERE id = 1'),
  provoke('SYSTEM_TABLE_WRITE', "INSERT INTO system.users (user_id) VALUES ('x')"),
  provoke('SYSTEM_COLUMN_WRITE', 'INSERT INTO g.items (id, _seq) VALUES (50, 1)'),
  provoke('KEY_TOO_LONG', `INSERT INTO g.kinds (id) VALUES ('${'k'.repeat(10_000)}')`),
  provoke('ROW_TOO_LARGE', `INSERT INTO g.items (id, txt, flag) VALUES (50, ${concat(9)}, true)`, [HALF_MIB]),
  provoke('COMMIT_TOO_LARGE', `INSERT INTO g.items (id, txt, flag) VALUES ${wideRows(24)}`, [HALF_MIB]),
  provoke('DUPLICATE_KEY', "INSERT INTO g.items VALUES (1, 'x', 1, true)"),
  provoke('DUPLICATE_KEY_IN_STATEMENT', "INSERT INTO g.items VALUES (51, 'x', 1, true), (51, 'y', 1, true)"),
  provoke('NOT_NULL', 'INSERT INTO g.secret VALUES (50, NULL, 1, true)'),
  provoke('NOT_NULL_MISSING', 'INSERT INTO g.secret (id) VALUES (50)'),
  provoke('CONFLICT_TARGET', "INSERT INTO g.items VALUES (1, 'x', 1, true) ON CONFLICT (txt) DO NOTHING"),
  provoke(
    'CONFLICT_TWICE',
    "INSERT INTO g.items VALUES (1, 'x', 1, true), (1, 'y', 1, true) ON CONFLICT (id) DO UPDATE SET txt = EXCLUDED.txt",
  ),
  provoke('COLUMN_AMBIGUOUS', "INSERT INTO g.items VALUES (1, 'x', 1, true) ON CONFLICT (id) DO UPDATE SET n = n + 1"),
  provoke('NAMESPACE_RESERVED', 'CREATE NAMESPACE sys'),
  provoke('NAMESPACE_EXISTS', 'CREATE NAMESPACE g'),
  provoke('NAMESPACE_NOT_EMPTY', 'DROP NAMESPACE g'),
  provoke('NAME_REFUSED', 'CREATE TABLE h."a b" (id INT PRIMARY KEY)'),
  provoke('TABLE_EXISTS', 'CREATE TABLE g.items (id INT PRIMARY KEY)'),
  provoke('FUNCTION_NOT_FOUND', 'SELECT nowhere_function(1)'),
  provoke('USER_EXISTS', "CREATE USER 'alice' WITH PASSWORD 'x' ROLE user"),
  provoke('USER_NOT_FOUND', "ALTER USER 'nobody' SET ROLE user"),
  provoke('INVALID_ROLE', "CREATE USER 'kim' WITH PASSWORD 'x' ROLE king"),
  provoke('VIEW_MISSING', 'DROP VIEW g.nowhere'),
  { ...provoke('EXECUTE_AS_DENIED', "EXECUTE AS USER 'dora' (SELECT 1)"), principal: { userId: 'alice', role: 'user' } },
  provoke('EXECUTE_AS_SHARED', "EXECUTE AS USER 'alice' (DELETE FROM g.items WHERE id = 1)"),
  provoke('TRANSACTION_ACTIVE', 'BEGIN; BEGIN'),
  provoke('TRANSACTION_REQUIRED', 'COMMIT'),
  provoke('TRANSACTION_LEFT_OPEN', "BEGIN; INSERT INTO g.items VALUES (52, 'x', 1, true)"),
  provoke('TRANSACTION_DDL', 'BEGIN; CREATE NAMESPACE n9; COMMIT'),
  provoke('TRANSACTION_TABLE_KIND', 'BEGIN; INSERT INTO g.events (id) VALUES (1); COMMIT'),
  provoke(
    'TRANSACTION_TOO_LARGE',
    `BEGIN; INSERT INTO g.items VALUES (53, '${HALF_MIB}', 1, true); UPDATE g.items SET txt = CONCAT(txt, txt, txt) WHERE id = 53; COMMIT`,
  ),
  provoke('SAVEPOINT_NOT_FOUND', 'BEGIN; ROLLBACK TO SAVEPOINT a; COMMIT'),
  provoke('JOB_NOT_FOUND', "KILL JOB 'CL-0123456789ab'"),
  provoke(
    'VIEW_BROKEN',
    'CREATE TABLE h.base (id INT PRIMARY KEY); CREATE VIEW h.over AS SELECT id FROM h.base; DROP TABLE h.base; SELECT * FROM h.over',
  ),
];

const STORE = 'the storage must fail: packages/storage/src/objects';
const BACKUP = 'a database in memory is not backed up: packages/engine/src/database/backups.test.ts';

/** The errors of statements that no single request in one database of a few rows can raise, with the reason. */
export const UNREACHED: Readonly<Partial<Record<ErrorCode, string>>> = {
  CLIENT_GONE: 'the connection must end under the statement: packages/server/src/http',
  COMMIT_OUTCOME_UNKNOWN: 'the disk must fail: packages/engine/src/sequencer',
  CONFLICT: 'two requests must meet: packages/engine/src/transaction',
  FORM_PARAMETERS: 'only forms have it: packages/server/src/http',
  FORM_WITHOUT_SQL: 'only forms have it: packages/server/src/http',
  INVALID_PARAMETER: 'the request body decides what a parameter can be: packages/server/src/http',
  QUERY_TOO_LARGE: 'needs a million rows: packages/engine/src/read',
  LOG_WRITE_FAILED: 'the disk must fail: packages/engine/src/sequencer',
  QUERIES_BUSY: 'needs many long scans at once: packages/engine/src/read',
  ANSWERS_NOT_READ: 'a reader must be a gigabyte behind: packages/engine/src/read',
  QUERY_INTERRUPTED: 'the scan thread must end: packages/engine/src/read',
  SNAPSHOT_TOO_OLD: 'a scan must take longer than the row versions are kept: packages/engine/src/read',
  STATEMENT_TIMEOUT: 'a statement must read for half a minute: packages/engine/src/read',
  SUBSCRIBE_INVALID_SQL: 'only subscriptions on a WebSocket have it: packages/engine/src/live',
  WRITES_BUSY: 'needs more writes at once than may wait: packages/engine/src/sequencer',
  TRANSACTION_ABORTED:
    'a request ends with the statement that fails; only requests inside the process go on: packages/engine/src/transaction',
  TRANSACTION_TIMED_OUT: 'a request must stand still for minutes: packages/engine/src/transaction',
  JOB_CONFLICT: 'a job must be in the wrong state: packages/engine/src/jobs',
  STORE_ACCESS_DENIED: STORE,
  STORE_CREDENTIALS_REFUSED: STORE,
  STORE_BUCKET_MISSING: STORE,
  STORE_REQUEST_REFUSED: STORE,
  STORE_TIMEOUT: STORE,
  STORE_THROTTLED: STORE,
  STORE_UNREACHABLE: STORE,
  STORE_FULL: STORE,
  SEGMENT_WRITE_FAILED: 'the disk must fail: packages/storage/src/cold',
  BACKUP_PLACE_REFUSED: BACKUP,
  BACKUP_DIRECTORY_MISSING: BACKUP,
  BACKUP_MISSING: BACKUP,
  BACKUP_DAMAGED: BACKUP,
  BACKUP_UNKNOWN_FORMAT: BACKUP,
  RESTORE_REFUSED: BACKUP,
  JOBS_BUSY: 'needs as many jobs as there may be: packages/engine/src/jobs',
};
