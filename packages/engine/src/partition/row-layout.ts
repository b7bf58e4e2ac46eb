import type { Row } from '@kalamdb/protocol';
import type { RowKey } from '@kalamdb/storage';

/**
 * What the rooms below the catalog know of a table: how its rows become bytes and keys. The catalog's `Table` is one.
 */
export interface RowLayout {
  /** Table id of the storage layer, never reused. */
  readonly id: number;
  /** STREAM rows live in memory only; all others go through log and hot tier. */
  readonly kind: 'user' | 'shared' | 'stream' | 'system';
  /** What a stream keeps: seconds that an event is visible, and events per partition. */
  readonly options: { readonly ttlSeconds: number | undefined; readonly maxBuffer: number | undefined };
  readonly codec: { encode(row: Row): Uint8Array; decode(bytes: Uint8Array): Row };
  /** The key of a row; a table without key columns (streams may have none) uses the `_seq`. */
  keyOf(cells: Row, seq: bigint): RowKey;
}
