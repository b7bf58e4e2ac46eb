import type { SchemaField } from '../messages/schema-field.ts';
import type { ChangeTypeRaw } from '../messages/server-frame.ts';
import { ackMessage, batchMessage, changeMessage, type ServerMessage } from '../messages/server-message.ts';
import { KalamRow } from '../rows/kalam-row.ts';
import type { SubscriptionSink } from './subscription.ts';

/** Passes a subscription's frames on as they come, cells wrapped; `tell` may return a promise. */
export function rawEvents(id: string, tell: (event: ServerMessage) => unknown): SubscriptionSink {
  let schema: readonly SchemaField[] = [];
  return {
    acknowledged(frame) {
      schema = frame.schema;
      return tell(ackMessage(frame));
    },
    batch: (frame) => tell(batchMessage(frame, schema)),
    changed: (frame) => tell(changeMessage(frame, schema)),
    failed: ({ code, message }) => tell({ type: 'error', subscription_id: id, code, message }),
  };
}

/** An event of a subscription with its rows typed by the application. */
export class KalamChange<T extends object = Record<string, unknown>> {
  /** `insert`, `update` or `delete` for a change, otherwise the kind of message. */
  readonly type: ChangeTypeRaw | Exclude<ServerMessage['type'], 'change'>;
  /** New values; of an update without the columns that are NULL. */
  readonly rows: readonly KalamRow<T>[];
  /** Values before; of an update the changed columns, of a delete the last row. */
  readonly oldValues: readonly KalamRow<T>[];
  /** The event itself. */
  readonly event: ServerMessage;

  constructor(event: ServerMessage) {
    this.event = event;
    this.type = event.type === 'change' ? event.change_type : event.type;
    this.rows = ('rows' in event ? (event.rows ?? []) : []).map((row) => new KalamRow<T>(row));
    this.oldValues = ('old_values' in event ? (event.old_values ?? []) : []).map((row) => new KalamRow<T>(row));
  }
}
