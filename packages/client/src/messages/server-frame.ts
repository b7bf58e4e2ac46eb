import { type JsonValue, parseJson } from '@kalamdb/protocol';
import { clientError, reasonOf } from '../client-error.ts';
import type { WireRow } from '../rows/row-data.ts';
import type { SchemaField } from './schema-field.ts';

/** What a change did to its row. */
export type ChangeTypeRaw = 'insert' | 'update' | 'delete';

/** How far a snapshot has come. */
export type BatchStatus = 'loading' | 'loading_batch' | 'ready';

/** Where a batch stands in its snapshot. */
export interface BatchPosition {
  readonly batchNum: number;
  readonly hasMore: boolean;
  readonly status: BatchStatus;
  /** `_seq` of the batch's last row; the next batch and a resume continue after it. */
  readonly lastSeq: bigint | undefined;
}

/** A message of the server, read and checked. Sequence ids are exact. */
export type ServerFrame =
  | { readonly type: 'auth_success'; readonly user: string; readonly role: string }
  | { readonly type: 'auth_error'; readonly message: string }
  | { readonly type: 'subscription_ack'; readonly id: string; readonly position: BatchPosition; readonly schema: readonly SchemaField[] }
  | { readonly type: 'initial_data_batch'; readonly id: string; readonly position: BatchPosition; readonly rows: readonly WireRow[] }
  | ChangeFrame
  | { readonly type: 'error'; readonly id: string; readonly code: string; readonly message: string };

/** One change of one row. */
export interface ChangeFrame {
  readonly type: 'change';
  readonly id: string;
  readonly changeType: ChangeTypeRaw;
  readonly rows: readonly WireRow[];
  readonly oldValues: readonly WireRow[];
}

/** A sequence id in any spelling a server uses; `undefined` when there is none. */
export function readSeq(value: JsonValue | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^-?\d+$/.test(value) ? BigInt(value) : undefined;
}

/** Reads a text frame. `undefined`: a kind of message this client does not know. Throws `RESPONSE_INVALID` for one it knows but cannot read. */
export function readServerFrame(text: string): ServerFrame | undefined {
  let parsed: JsonValue;
  try {
    parsed = parseJson(text);
  } catch (error) {
    throw invalid(reasonOf(error));
  }
  if (!isObject(parsed)) throw invalid('a frame is not an object');
  switch (parsed['type']) {
    case 'auth_success':
      return { type: 'auth_success', user: textOf(parsed, 'user'), role: textOf(parsed, 'role') };
    case 'auth_error':
      return { type: 'auth_error', message: textOf(parsed, 'message') };
    case 'subscription_ack':
      return { type: 'subscription_ack', id: idOf(parsed), position: positionOf(parsed), schema: schemaOf(parsed['schema']) };
    case 'initial_data_batch':
      return { type: 'initial_data_batch', id: idOf(parsed), position: positionOf(parsed), rows: rowsOf(parsed, 'rows') };
    case 'change':
      return {
        type: 'change',
        id: idOf(parsed),
        changeType: changeTypeOf(parsed['change_type']),
        rows: rowsOf(parsed, 'rows'),
        oldValues: rowsOf(parsed, 'old_values'),
      };
    case 'error':
      return { type: 'error', id: idOf(parsed), code: textOf(parsed, 'code'), message: textOf(parsed, 'message') };
    default:
      return undefined;
  }
}

const invalid = (reason: string): Error => clientError('RESPONSE_INVALID', { reason });

function isObject(value: JsonValue | undefined): value is WireRow {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(message: WireRow, member: string): string {
  const value = message[member];
  if (typeof value !== 'string') throw invalid(`'${member}' is not a text`);
  return value;
}

function idOf(message: WireRow): string {
  return textOf(message, 'subscription_id');
}

function rowsOf(message: WireRow, member: string): readonly WireRow[] {
  const value = message[member];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every(isObject)) throw invalid(`'${member}' is not a list of rows`);
  return value as readonly WireRow[];
}

function positionOf(message: WireRow): BatchPosition {
  const control = message['batch_control'];
  if (!isObject(control)) throw invalid("'batch_control' is missing");
  const { batch_num: batchNum, has_more: hasMore, status } = control;
  return {
    batchNum: typeof batchNum === 'number' ? batchNum : 0,
    hasMore: hasMore === true,
    status: status === 'loading' || status === 'loading_batch' ? status : 'ready',
    lastSeq: readSeq(control['last_seq_id']),
  };
}

function schemaOf(value: JsonValue | undefined): readonly SchemaField[] {
  if (!Array.isArray(value)) return [];
  if (!value.every((field) => isObject(field) && typeof field['name'] === 'string')) throw invalid("'schema' is not a list of columns");
  return value as unknown as readonly SchemaField[];
}

function changeTypeOf(value: JsonValue | undefined): ChangeTypeRaw {
  if (value === 'insert' || value === 'update' || value === 'delete') return value;
  throw invalid("'change_type' is none of insert, update, delete");
}
