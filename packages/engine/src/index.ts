export type { Account, NewAccount, SetupRequest } from './access/accounts.ts';
export { Accounts } from './access/accounts.ts';
export type { PasswordCost } from './access/password.ts';
export type { Setting } from './catalog/views/settings-view.ts';
export type { Metric } from './catalog/views/stats-view.ts';
export type {
  ChangeSet,
  PartitionChanges,
  Principal,
  ResultColumn,
  Role,
  RowChange,
  RowVersion,
  StatementFailure,
  StatementResult,
} from './contract.ts';
export { Database, type DatabaseStatus } from './database/database.ts';
export { type DatabaseOptions, openDatabase } from './database/open-database.ts';
export { LiveConnection, type SubscribeRequest } from './live/connection.ts';
export { type BatchControl, type LiveFrame, type LiveSink, SharedBody } from './live/frame.ts';
export { Live, type LiveQueryInfo } from './live/live.ts';
export type { SubscribeOptions } from './live/load-mode.ts';
export { Session, type SessionOptions } from './session/session.ts';
export { StatementError } from './session/statement-error.ts';
