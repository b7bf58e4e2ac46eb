import { KalamDBClient } from './client.ts';
import { wordErrors } from './client-error.ts';
import type { ClientOptions } from './client-options.ts';
import { NodeWebSocket } from './connection/node-web-socket.ts';
import { ERROR_TEXTS } from './error-texts.ts';

/** Makes a client for Node; nothing is sent before its first use. */
export function createClient(options: ClientOptions): KalamDBClient {
  wordErrors(ERROR_TEXTS);
  return new KalamDBClient({ ...options, webSocket: options.webSocket ?? NodeWebSocket });
}

export { KalamDBClient } from './client.ts';
export { type ClientErrorCode, KalamClientError, KalamServerError } from './client-error.ts';
export type {
  ClientOptions,
  ConnectionError,
  LiveRowsOptions,
  LiveSetOptions,
  QueryOptions,
  SubscriptionOptions,
  Unsubscribe,
  UploadOptions,
  UploadProgress,
} from './client-options.ts';
export type { DisconnectReason } from './connection/socket-connection.ts';
export type { WebSocketConstructor, WebSocketLike } from './connection/web-socket.ts';
export {
  Auth,
  type AuthCredentials,
  type AuthProvider,
  type BasicAuthCredentials,
  type JwtAuthCredentials,
  type NoAuthCredentials,
} from './http/auth.ts';
export type { LoginResponse, QueryResponse, QueryResult, Role } from './http/http-api.ts';
export type { LiveOrder } from './live/column-order.ts';
export {
  type LiveCollection,
  type LiveCollectionOptions,
  type LiveCollectionState,
  type LiveKey,
  type LiveRowChange,
  type LiveSnapshot,
  liveCollection,
  sameMembers,
} from './live/live-collection.ts';
export type { SubscriptionInfo } from './live/live-queries.ts';
export { KalamChange } from './live/raw-events.ts';
export type { LiveState } from './live/subscription.ts';
export { type LogEntry, LogLevel, type LogListener } from './log.ts';
export type { FieldFlag, KalamDataType, SchemaField } from './messages/schema-field.ts';
export type { BatchStatus, ChangeTypeRaw } from './messages/server-frame.ts';
export {
  type BatchControl,
  type ChangeMessage,
  ChangeType,
  type InitialDataBatchMessage,
  MessageType,
  type ServerMessage,
  type SubscriptionAckMessage,
  type SubscriptionErrorEvent,
} from './messages/server-message.ts';
export { type KalamCellRawValue, KalamCellValue } from './rows/cell-value.ts';
export { FileRef, type FileRefData } from './rows/file-ref.ts';
export { KalamRow } from './rows/kalam-row.ts';
export type { RowData } from './rows/row-data.ts';
export { SeqId } from './rows/seq-id.ts';
export type { WaitOptions } from './waiting.ts';
