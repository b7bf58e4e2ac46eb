import type { RowData } from '../rows/row-data.ts';
import { rowWrapper } from '../rows/row-data.ts';
import { SeqId } from '../rows/seq-id.ts';
import type { SchemaField } from './schema-field.ts';
import {
  type AckFrame,
  type BatchFrame,
  type BatchPosition,
  type BatchStatus,
  type ChangeFrame,
  type ChangeTypeRaw,
  readSeq,
} from './server-frame.ts';

/** The kinds of {@link ServerMessage} that a subscription's callback sees. */
export const MessageType = {
  SubscriptionAck: 'subscription_ack',
  InitialDataBatch: 'initial_data_batch',
  Change: 'change',
  Error: 'error',
} as const;

/** The kinds of change. */
export const ChangeType = { Insert: 'insert', Update: 'update', Delete: 'delete' } as const;

/** Where a batch stands in its snapshot, as the wire spells it. */
export interface BatchControl {
  readonly batch_num: number;
  readonly has_more: boolean;
  readonly status: BatchStatus;
  readonly last_seq_id?: SeqId;
}

/** The server's acceptance of a subscription, with the columns it will send. */
export interface SubscriptionAckMessage {
  readonly type: 'subscription_ack';
  readonly subscription_id: string;
  readonly total_rows: number;
  readonly batch_control: BatchControl;
  readonly schema: readonly SchemaField[];
  /** Of a query with ORDER BY and LIMIT: its rows come in that order, and every snapshot replaces what there was. */
  readonly window?: { readonly limit: number };
}

/** A part of the snapshot. */
export interface InitialDataBatchMessage {
  readonly type: 'initial_data_batch';
  readonly subscription_id: string;
  readonly rows: RowData[];
  readonly batch_control: BatchControl;
  /** Of the last batch: changes follow that make one state of it. */
  readonly more?: boolean;
}

/** One change. An update's `rows` leave out columns that are NULL; those that became NULL are in `old_values`. */
export interface ChangeMessage {
  readonly type: 'change';
  readonly subscription_id: string;
  readonly change_type: ChangeTypeRaw;
  readonly rows?: RowData[];
  readonly old_values?: RowData[];
  /** Of a query with ORDER BY and LIMIT: where each of `rows` stands after this event, from 0 on. */
  readonly positions?: readonly number[];
  /** Whether further events of the same commit follow. */
  readonly more?: boolean;
}

/** What went wrong with a subscription: a code of the server, or one of this client's (`KEY_MISSING`, `CONNECTION_LOST`, …). */
export interface SubscriptionErrorEvent {
  readonly type: 'error';
  readonly subscription_id: string;
  readonly code: string;
  readonly message: string;
}

/** What the callback of a raw subscription receives. */
export type ServerMessage = SubscriptionAckMessage | InitialDataBatchMessage | ChangeMessage | SubscriptionErrorEvent;

const control = (position: BatchPosition): BatchControl => {
  const { last_seq_id: last, ...rest } = position;
  const seq = readSeq(last);
  return seq === undefined ? rest : { ...rest, last_seq_id: SeqId.from(seq) };
};

/** The acceptance as applications see it. */
export function ackMessage(frame: AckFrame): SubscriptionAckMessage {
  return { total_rows: 0, ...frame, batch_control: control(frame.batch_control) };
}

/** A batch as applications see it. */
export function batchMessage(frame: BatchFrame, schema: readonly SchemaField[]): InitialDataBatchMessage {
  return { ...frame, rows: frame.rows.map(rowWrapper(schema)), batch_control: control(frame.batch_control) };
}

/** A change as applications see it. */
export function changeMessage({ rows, old_values: old, ...frame }: ChangeFrame, schema: readonly SchemaField[]): ChangeMessage {
  const wrap = rowWrapper(schema);
  return { ...frame, ...(rows ? { rows: rows.map(wrap) } : {}), ...(old ? { old_values: old.map(wrap) } : {}) };
}
