import type { HotStore, PartitionId, StoredRow } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import { decodeStored } from './partition-view.ts';
import type { RowLayout } from './row-layout.ts';

/** Whether the hot tier holds a row of the table, whoever owns it, that is not deleted and passes the test. */
export function* someRow(hot: HotStore, layout: RowLayout, test: (row: RowVersion) => boolean): Steps<boolean> {
  const snapshot = hot.snapshot();
  try {
    let left = STEP_ROWS;
    for (const owner of snapshot.owners(layout.id)) {
      for (const stored of snapshot.scan({ tableId: layout.id, owner })) {
        if (!stored.deleted && test(decodeStored(layout, stored))) return true;
        if (--left > 0) continue;
        left = STEP_ROWS;
        yield;
      }
    }
    return false;
  } finally {
    snapshot.close();
  }
}

/** How much there is of a table. */
export interface TableSize {
  /** Rows that are not deleted. */
  readonly rows: number;
  /** Bytes of their encoded cells, and of segments. */
  readonly bytes: number;
}

/** Told of the rows of a partition that no segment holds; answers what there is of it in all. */
export interface PartitionCounter {
  /** Rows at or below it are dead: a segment holds them. */
  readonly flushedSeq: bigint;
  add(row: StoredRow): void;
  /** Rows that are not deleted, and bytes of the segments. */
  total(): TableSize;
}

/** Counts the rows of one owner, or of all of `owners`. */
export function* tableSize(
  hot: HotStore,
  tableId: number,
  { owners, counter }: { readonly owners: Iterable<string>; counter(partition: PartitionId): PartitionCounter },
): Steps<TableSize> {
  const snapshot = hot.snapshot();
  try {
    let rows = 0;
    let bytes = 0;
    let left = STEP_ROWS;
    for (const owner of new Set([...owners])) {
      const partition = { tableId, owner };
      const counted = counter(partition);
      for (const stored of snapshot.scan(partition)) {
        if (stored.seq > counted.flushedSeq) {
          counted.add(stored);
          if (!stored.deleted) bytes += stored.bytes.byteLength;
        }
        if (--left > 0) continue;
        left = STEP_ROWS;
        yield;
      }
      const total = counted.total();
      rows += total.rows;
      bytes += total.bytes;
    }
    return { rows, bytes };
  } finally {
    snapshot.close();
  }
}
