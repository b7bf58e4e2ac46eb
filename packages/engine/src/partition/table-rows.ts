import type { HotStore } from '@kalamdb/storage';
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

/** How much the hot tier holds of a table. */
export interface TableSize {
  /** Rows that are not deleted. */
  readonly rows: number;
  /** Bytes of their encoded cells. */
  readonly bytes: number;
}

/** Counts the rows of one owner, or of all. */
export function* tableSize(hot: HotStore, tableId: number, owner: string | undefined): Steps<TableSize> {
  const snapshot = hot.snapshot();
  try {
    let rows = 0;
    let bytes = 0;
    let left = STEP_ROWS;
    for (const each of owner === undefined ? snapshot.owners(tableId) : [owner]) {
      for (const stored of snapshot.scan({ tableId, owner: each })) {
        if (!stored.deleted) {
          rows += 1;
          bytes += stored.bytes.byteLength;
        }
        if (--left > 0) continue;
        left = STEP_ROWS;
        yield;
      }
    }
    return { rows, bytes };
  } finally {
    snapshot.close();
  }
}
