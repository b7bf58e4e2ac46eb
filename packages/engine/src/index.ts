export { redactStatement } from '@kalamdb/sql';
export type { Account, LoginOrigin, SetupRequest } from './access/accounts.ts';
export { Accounts } from './access/accounts.ts';
export { type ApiToken, type ApiTokenRequest, ApiTokens, type ApiTokenUse, type MadeApiToken } from './access/api-tokens.ts';
export { isAdmin } from './access/grant.ts';
export type { PasswordCost } from './access/password.ts';
export type { PasswordRules } from './access/password-rules.ts';
export { type Actor, type NewAccount, type UserChange, Users } from './access/users.ts';
export type { RestoredFigures } from './backup/restore-directory.ts';
export type { ProviderIdentity } from './catalog/system-tables/users.ts';
export type { ServerNode } from './catalog/views/cluster-views.ts';
export type { ServerLogLine } from './catalog/views/server-logs-view.ts';
export type { Setting } from './catalog/views/settings-view.ts';
export type { Metric } from './catalog/views/stats-view.ts';
export type {
  ChangeSet,
  PartitionChanges,
  Principal,
  ResultColumn,
  Role,
  RowChange,
  RowStream,
  RowVersion,
  StatementAnswer,
  StatementFailure,
  StatementResult,
  StreamedResult,
} from './contract.ts';
export { Database, type DatabaseStatus } from './database/database.ts';
export type { DatabaseFigures } from './database/figures.ts';
export { type DatabaseOptions, openDatabase } from './database/open-database.ts';
export { restoreDatabase } from './database/restore-database.ts';
export { verifyDatabase } from './database/verify-database.ts';
export { LiveConnection, type SubscribeRequest } from './live/connection.ts';
export { type BatchControl, type LiveFrame, type LiveSink, SharedBody } from './live/frame.ts';
export { Live, type LiveQueryInfo } from './live/live.ts';
export type { SubscribeOptions } from './live/load-mode.ts';
export type { RowLimits } from './read/row-limits.ts';
export type { RequestLimits } from './session/request.ts';
export { Session, type SessionOptions } from './session/session.ts';
export { StatementError } from './session/statement-error.ts';
export type { StatementRecord } from './session/statement-record.ts';
