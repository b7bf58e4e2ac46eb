export { type Clock, systemClock } from './environment/clock.ts';
export { type Random, systemRandom } from './environment/random.ts';
export { systemTimers, type Timer, type Timers } from './environment/timers.ts';
export type { ErrorSpec, WireErrorCode } from './errors/error-spec.ts';
export { ERRORS, type ErrorCode, type ErrorPosition, KalamError, kalamError } from './errors/kalam-error.ts';
export { wireMessage } from './errors/redact.ts';
export { lastSnowflakeOf, SNOWFLAKE_EPOCH_MILLIS, type SnowflakeRun, SnowflakeSequence, snowflakeMillis } from './ids/snowflake.ts';
export { ulid } from './ids/ulid.ts';
export { uuidV7 } from './ids/uuid-v7.ts';
export { jsonString } from './json/json-string.ts';
export type { JsonObject, JsonValue } from './json/json-value.ts';
export { type JsonLimits, parseJson } from './json/parse-json.ts';
export type {
  AuthFailure,
  LoginRequest,
  LoginResponse,
  MeResponse,
  RoleName,
  SetupRequest,
  SetupResponse,
  SetupStatus,
  UserInfo,
} from './messages/auth.ts';
export type { ClusterHealthResponse, ClusterNode, HealthResponse, LocalOnlyResponse } from './messages/health.ts';
export type { Int64 } from './messages/message-schema.ts';
export type {
  AuthenticateMessage,
  ClientMessage,
  NextBatchMessage,
  PingMessage,
  SocketProtocol,
  SubscribeMessage,
  SubscribeOptionsMessage,
  UnsubscribeMessage,
} from './messages/socket-client.ts';
export type {
  AuthErrorMessage,
  AuthSuccessMessage,
  BatchControlMessage,
  ChangeMessage,
  ErrorMessage,
  InitialDataBatchMessage,
  RowMessage,
  ServerMessage,
  SubscriptionAckMessage,
} from './messages/socket-server.ts';
export type { SchemaEntry, SchemaFlag, SqlErrorBody, SqlFailure, SqlRequest, SqlResponse, SqlResult, SqlSuccess } from './messages/sql.ts';
export { checkCell } from './values/cell-check.ts';
export { type CellComparison, cellsEqual, compareCells } from './values/cell-compare.ts';
export { cellFromJson, cellToJson, type JsonCellWriter, jsonCellWriter } from './values/cell-json.ts';
export { cellFromText, cellToText } from './values/cell-text.ts';
export type { Cell, DataType, NonNullCell, PlainTypeKind, Row, TypeKind } from './values/data-type.ts';
export { duckdbType } from './values/duckdb-type.ts';
export { encodeKeyCells } from './values/key-codec.ts';
export { decodeKeyCells, type KeyStart, keyStart } from './values/key-decoder.ts';
export { type RowCodec, type RowColumn, rowCodec, rowSchemaVersion } from './values/row-codec.ts';
export { RowSpans, zigzagAt } from './values/row-spans.ts';
export { fromWireType, parseTypeName, plainType, sameType, sqlTypeName, type WireType, wireType } from './values/type-name.ts';
export { compareText, isWellFormedText } from './values/unicode-text.ts';
