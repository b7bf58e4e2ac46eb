import type { RowKey } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import { ColdRows } from '../partition/cold-rows.ts';
import type { PartitionView, ScanRange } from '../partition/partition-view.ts';
import type { ColdPlace, ColdReader } from './cold-reader.ts';

/** Hot rows of one batch. */
const BATCH_ROWS = 256;

/** Both parts of a partition at one watermark. */
export interface MergedPlace {
  /** The hot rows, with a transaction's own on top. */
  readonly view: PartitionView;
  readonly place: ColdPlace;
}

/** Whether a row of a partition was read from a segment. */
export function isCold(row: RowVersion, { manifest }: ColdPlace): boolean {
  return row.seq <= manifest.flushedSeq;
}

/** The rows of a range, hot and cold as one, in key order and in batches; of a key that is in both the hot version. */
export async function* mergedRows(
  reader: Pick<ColdReader, 'scan'>,
  { view, place }: MergedPlace,
  range: ScanRange,
): AsyncGenerator<readonly RowVersion[], void> {
  const hot = view.scan(range)[Symbol.iterator]();
  let next = following(hot);
  let batch: RowVersion[] = [];
  try {
    for await (const rows of reader.scan(place, { keys: range })) {
      for (const row of rows) {
        for (; next !== undefined && next.key < row.key; next = following(hot)) {
          batch.push(next);
          if (batch.length < BATCH_ROWS) continue;
          yield batch;
          batch = [];
        }
        if (next?.key !== row.key) batch.push(row);
      }
      if (batch.length === 0) continue;
      yield batch;
      batch = [];
    }
    for (; next !== undefined; next = following(hot)) {
      batch.push(next);
      if (batch.length < BATCH_ROWS) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  } finally {
    hot.return?.();
  }
}

function following(rows: Iterator<RowVersion>): RowVersion | undefined {
  const step = rows.next();
  return step.done === true ? undefined : step.value;
}

/** The rows under some keys, hot or cold, in the order of the keys. */
export async function rowsUnder(
  reader: Pick<ColdReader, 'lookUp'>,
  { view, place }: MergedPlace,
  keys: readonly RowKey[],
): Promise<readonly RowVersion[]> {
  const cold = new ColdRows(place.manifest.version);
  await reader.lookUp(place, { keys, skip: (key) => view.get(key) !== undefined }, cold);
  const rows: RowVersion[] = [];
  for (const key of keys) {
    const row = view.get(key) ?? cold.get(key);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}
