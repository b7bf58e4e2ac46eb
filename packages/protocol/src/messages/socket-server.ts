import { Type } from 'typebox';
import type { JsonValue } from '../json/json-value.ts';
import { type RoleName, roleNameSchema } from './auth.ts';
import { type Int64, int64Schema, jsonSchema, type MessageSchema, messageSchema, oneOf } from './message-schema.ts';
import { type SocketProtocol, socketProtocolSchema } from './socket-client.ts';
import { type SchemaEntry, schemaEntrySchema } from './sql.ts';

/** The connection is authenticated. Always a plain text frame. */
export interface AuthSuccessMessage {
  readonly type: 'auth_success';
  readonly user: string;
  readonly role: RoleName;
  readonly protocol: SocketProtocol;
}

/** The credentials are refused; the connection closes. Always a plain text frame. */
export interface AuthErrorMessage {
  readonly type: 'auth_error';
  readonly message: string;
}

/** Where an initial load stands. */
export interface BatchControlMessage {
  readonly batch_num: number;
  /** Whether `next_batch` would bring more; changes begin after the batch that says false. */
  readonly has_more: boolean;
  readonly status: 'loading' | 'loading_batch' | 'ready';
  /** `_seq` of the batch's last row, a bare integer; null when there is none. */
  readonly last_seq_id: Int64 | null;
}

/** A subscription was opened. */
export interface SubscriptionAckMessage {
  readonly type: 'subscription_ack';
  readonly subscription_id: string;
  /** Always 0; old clients need the member. */
  readonly total_rows: number;
  /** Extension `window`: the query has a LIMIT, and its client holds the rows in order. */
  readonly window?: { readonly limit: number };
  readonly batch_control: BatchControlMessage;
  readonly schema: readonly SchemaEntry[];
}

/** A row of a live query: column name to value, encoded as in results. */
export interface RowMessage {
  readonly [column: string]: JsonValue;
}

/** One batch of the initial load, `_seq` ascending; of a window in its order, and number 0 replaces all that the client has. */
export interface InitialDataBatchMessage {
  readonly type: 'initial_data_batch';
  readonly subscription_id: string;
  /** Extension `progress`, of a batch after which changes follow: together with them it is the answer at one commit. */
  readonly more?: true;
  readonly rows: readonly RowMessage[];
  readonly batch_control: BatchControlMessage;
}

/** One changed row. `rows` holds what is now, `old_values` what was; wire-protocol 4.6 says which columns. */
export interface ChangeMessage {
  readonly type: 'change';
  readonly subscription_id: string;
  /** Extension `progress`: the subscription is not at the end of a commit; another change or a `progress` follows at once. */
  readonly more?: true;
  readonly change_type: 'insert' | 'update' | 'delete';
  readonly rows?: readonly RowMessage[];
  readonly old_values?: readonly RowMessage[];
  /** Extension `window`, of an insert or update: the index that the row has after this frame. */
  readonly positions?: readonly number[];
}

/** Only with the extension `progress`: the subscription is right up to this commit; nothing of it, or nothing more, follows. */
export interface ProgressMessage {
  readonly type: 'progress';
  readonly subscription_id: string;
  /** `_seq` of the commit, a bare integer; a later subscription may begin `from` it. */
  readonly seq: Int64;
}

/** A request on the socket was refused, or a subscription ended; the connection stays open. */
export interface ErrorMessage {
  readonly type: 'error';
  readonly subscription_id: string;
  readonly code: string;
  readonly message: string;
}

/** Every frame a server sends. */
export type ServerMessage =
  | AuthSuccessMessage
  | AuthErrorMessage
  | SubscriptionAckMessage
  | InitialDataBatchMessage
  | ChangeMessage
  | ProgressMessage
  | ErrorMessage;

/** Schema of {@link BatchControlMessage}. */
export const batchControlSchema: MessageSchema<BatchControlMessage> = messageSchema<BatchControlMessage>()(
  Type.Object({
    batch_num: Type.Integer({ minimum: 0 }),
    has_more: Type.Boolean(),
    status: oneOf('loading', 'loading_batch', 'ready'),
    last_seq_id: Type.Union([int64Schema, Type.Null()]),
  }),
);

const rows = Type.Array(Type.Record(Type.String(), jsonSchema));
const more = Type.Optional(Type.Literal(true));

/** Schema of {@link ServerMessage}; integers as `parseJson` gives them. */
export const serverMessageSchema: MessageSchema<ServerMessage> = messageSchema<ServerMessage>()(
  Type.Union([
    Type.Object({ type: oneOf('auth_success'), user: Type.String(), role: roleNameSchema, protocol: socketProtocolSchema }),
    Type.Object({ type: oneOf('auth_error'), message: Type.String() }),
    Type.Object({
      type: oneOf('subscription_ack'),
      subscription_id: Type.String(),
      total_rows: Type.Integer({ minimum: 0 }),
      window: Type.Optional(Type.Object({ limit: Type.Integer({ minimum: 0 }) })),
      batch_control: batchControlSchema,
      schema: Type.Array(schemaEntrySchema),
    }),
    Type.Object({ type: oneOf('initial_data_batch'), subscription_id: Type.String(), more, rows, batch_control: batchControlSchema }),
    Type.Object({
      type: oneOf('change'),
      subscription_id: Type.String(),
      more,
      change_type: oneOf('insert', 'update', 'delete'),
      rows: Type.Optional(rows),
      old_values: Type.Optional(rows),
      positions: Type.Optional(Type.Array(Type.Integer({ minimum: 0 }))),
    }),
    Type.Object({ type: oneOf('progress'), subscription_id: Type.String(), seq: int64Schema }),
    Type.Object({ type: oneOf('error'), subscription_id: Type.String(), code: Type.String(), message: Type.String() }),
  ]),
);
