import type { Row } from '@kalamdb/protocol';
import type { RowKey } from '@kalamdb/storage';

/**
 * A table was altered between the look-up of its layout and the snapshot that was to be read with it: in memory its rows have other cells
 * by now. Whoever reads looks the table up again; nothing has been read.
 */
export class StaleLayout extends Error {
  constructor() {
    super('the table has been altered since its layout was looked up');
    this.name = 'StaleLayout';
  }
}

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
  /**
   * The commit that laid the rows out like this; 0n when they never were otherwise. Decoded rows with a smaller `_seq` have other
   * cells: all of them are in the hot tier, where the codec reads every version.
   */
  readonly sinceSeq: bigint;
  readonly codec: { encode(row: Row): Uint8Array; decode(bytes: Uint8Array): Row };
  /** The key of a row; a table without key columns (streams may have none) uses the `_seq`. */
  keyOf(cells: Row, seq: bigint): RowKey;
}
