import type { JsonObject, JsonValue } from '@kalamdb/protocol';
import { invalidResponse, reasonOf } from '../client-error.ts';
import type { WireRow } from '../rows/row-data.ts';
import { isObject, readJson } from './json-reading.ts';
import type { SchemaField } from './schema-field.ts';

/** What a change did to its row. */
export type ChangeTypeRaw = 'insert' | 'update' | 'delete';

/** How far a snapshot has come. */
export type BatchStatus = 'loading' | 'loading_batch' | 'ready';

/** Where a batch stands in its snapshot. */
export interface BatchPosition {
  readonly batch_num: number;
  readonly has_more: boolean;
  readonly status: BatchStatus;
  /** `_seq` of the batch's last row, for {@link readSeq}; the next batch and a resume continue after it. */
  readonly last_seq_id?: JsonValue;
}

/** A message of the server, as the wire spells it; its members are checked as far as the client relies on them. */
export type ServerFrame =
  | { readonly type: 'auth_success' }
  | { readonly type: 'auth_error'; readonly message: string }
  | AckFrame
  | BatchFrame
  | ChangeFrame
  /** Nothing up to `seq` is missing, although nothing was sent: the wire's `progress` extension. */
  | { readonly type: 'progress'; readonly subscription_id: string; readonly seq: JsonValue }
  | { readonly type: 'error'; readonly subscription_id: string; readonly code: string; readonly message: string };

/** A frame that carries a subscription's id. */
export type SubscriptionFrame = Exclude<ServerFrame, { type: 'auth_success' | 'auth_error' }>;

/** A subscription was accepted. */
export interface AckFrame {
  readonly type: 'subscription_ack';
  readonly subscription_id: string;
  readonly batch_control: BatchPosition;
  /** The query has an ORDER BY and a LIMIT: its rows come in that order, and changes say where they stand (the extension `window`). */
  readonly window?: { readonly limit: number };
  readonly schema: readonly SchemaField[];
}

/** Rows of a snapshot, or those missed. */
export interface BatchFrame {
  readonly type: 'initial_data_batch';
  readonly subscription_id: string;
  readonly batch_control: BatchPosition;
  readonly rows: readonly WireRow[];
  /** Of the last batch: changes follow that make one state of it (the extension `progress`). */
  readonly more?: boolean;
}

/** One change of one row. */
export interface ChangeFrame {
  readonly type: 'change';
  readonly subscription_id: string;
  readonly change_type: ChangeTypeRaw;
  readonly rows?: readonly WireRow[] | null;
  readonly old_values?: readonly WireRow[] | null;
  /** Of a window: where each of `rows` stands after this frame, from 0 on. */
  readonly positions?: readonly number[];
  /** Whether further frames of the same commit follow (the extension `progress`). */
  readonly more?: boolean;
}

/** A sequence id in any spelling a server uses; `undefined` when there is none. */
export function readSeq(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^-?\d+$/.test(value) ? BigInt(value) : undefined;
}

type Check = (value: JsonValue | undefined) => boolean;

const text: Check = (value) => typeof value === 'string';
const list: Check = (value) => Array.isArray(value) && value.every(isObject);
const rows: Check = (value) => (value ?? null) === null || list(value);
const ofSubscription = { subscription_id: text };

/** What each kind of message must have. */
const MEMBERS: ReadonlyMap<JsonValue | undefined, Readonly<Record<string, Check>>> = new Map<
  ServerFrame['type'],
  Readonly<Record<string, Check>>
>([
  ['auth_success', {}],
  ['auth_error', { message: text }],
  ['subscription_ack', { ...ofSubscription, batch_control: isObject, schema: list }],
  ['initial_data_batch', { ...ofSubscription, batch_control: isObject, rows: list }],
  ['change', { ...ofSubscription, change_type: (value) => /^(insert|update|delete)$/.test(String(value)), rows, old_values: rows }],
  ['progress', ofSubscription],
  ['error', { ...ofSubscription, code: text, message: text }],
]);

/** Reads a text frame. `undefined`: a kind of message this client does not know. Throws `RESPONSE_INVALID` for one it knows but cannot read. */
export function readServerFrame(frameText: string): ServerFrame | undefined {
  const frame = readObject(frameText);
  const { type } = frame;
  for (const [member, fits] of Object.entries(MEMBERS.get(type) ?? {})) {
    if (!fits(frame[member])) throw invalidResponse(`'${member}' of '${type}'`);
  }
  return MEMBERS.has(type) ? (frame as unknown as ServerFrame) : undefined;
}

function readObject(frameText: string): JsonObject & { readonly type?: JsonValue } {
  let frame: JsonValue;
  try {
    frame = readJson(frameText);
  } catch (error) {
    throw invalidResponse(reasonOf(error));
  }
  if (!isObject(frame)) throw invalidResponse('a frame is not an object');
  return frame;
}
