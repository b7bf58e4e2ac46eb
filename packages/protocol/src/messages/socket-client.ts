import { Type } from 'typebox';
import { type Int64, int64Schema, type MessageSchema, messageSchema, oneOf } from './message-schema.ts';

/** How frames are written on a connection. */
export interface SocketProtocol {
  readonly serialization: 'json' | 'msgpack';
  readonly compression: 'none' | 'gzip';
  /** Extensions the client wants, or the server grants; absent: none. */
  readonly extensions?: readonly string[];
}

/** Schema of {@link SocketProtocol}. */
export const socketProtocolSchema: MessageSchema<SocketProtocol> = messageSchema<SocketProtocol>()(
  Type.Object({
    serialization: oneOf('json', 'msgpack'),
    compression: oneOf('none', 'gzip'),
    extensions: Type.Optional(Type.Array(Type.String())),
  }),
);

/** First frame of a connection that has no credentials in its headers. */
export interface AuthenticateMessage {
  readonly type: 'authenticate';
  readonly method: 'jwt';
  readonly token: string;
  readonly protocol: SocketProtocol;
}

/** What a subscription begins with. `null` or absent: no initial data. `from` goes before `last_rows`. */
export interface SubscribeOptionsMessage {
  /** Rows per batch; 0: no rows. */
  readonly batch_size?: number | null;
  /** Only the newest n rows, in one batch. */
  readonly last_rows?: number | null;
  /** Only rows with a `_seq` above this. */
  readonly from?: Int64 | null;
  /** Another name of `from`. */
  readonly from_seq_id?: Int64 | null;
  /** Extension `commit-token`: what is loaded holds this commit. Decimal text or an integer. */
  readonly at_least?: Int64 | string | null;
}

/** Opens a live query. The id is the client's; it replaces an earlier subscription of the same id. */
export interface SubscribeMessage {
  readonly type: 'subscribe';
  readonly subscription: { readonly id: string; readonly sql: string; readonly options?: SubscribeOptionsMessage | null };
}

/** Asks for the batch after `last_seq_id` (exclusive); without it the load begins again. */
export interface NextBatchMessage {
  readonly type: 'next_batch';
  readonly subscription_id: string;
  readonly last_seq_id?: Int64 | null;
}

/** Ends a subscription; there is no answer. */
export interface UnsubscribeMessage {
  readonly type: 'unsubscribe';
  readonly subscription_id: string;
}

/** Refreshes the heartbeat; there is no answer. */
export interface PingMessage {
  readonly type: 'ping';
}

/** Every frame a client may send. Unknown members are ignored. */
export type ClientMessage = AuthenticateMessage | SubscribeMessage | NextBatchMessage | UnsubscribeMessage | PingMessage;

const rowCount = Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]));
const seq = Type.Optional(Type.Union([int64Schema, Type.Null()]));
const token = Type.Optional(Type.Union([int64Schema, Type.String(), Type.Null()]));

/** Schema of {@link SubscribeOptionsMessage}. */
export const subscribeOptionsSchema: MessageSchema<SubscribeOptionsMessage> = messageSchema<SubscribeOptionsMessage>()(
  Type.Object({ batch_size: rowCount, last_rows: rowCount, from: seq, from_seq_id: seq, at_least: token }),
);

/** Schema of {@link ClientMessage}; integers as `parseJson` gives them. */
export const clientMessageSchema: MessageSchema<ClientMessage> = messageSchema<ClientMessage>()(
  Type.Union([
    Type.Object({ type: oneOf('authenticate'), method: oneOf('jwt'), token: Type.String(), protocol: socketProtocolSchema }),
    Type.Object({
      type: oneOf('subscribe'),
      subscription: Type.Object({
        id: Type.String(),
        sql: Type.String(),
        options: Type.Optional(Type.Union([subscribeOptionsSchema, Type.Null()])),
      }),
    }),
    Type.Object({ type: oneOf('next_batch'), subscription_id: Type.String(), last_seq_id: seq }),
    Type.Object({ type: oneOf('unsubscribe'), subscription_id: Type.String() }),
    Type.Object({ type: oneOf('ping') }),
  ]),
);
