import type { ColdPosition, HotSnapshot, KeyRange, RowKey, StoredRow } from '@kalamdb/storage';
import type { Table } from '../../catalog/table.ts';
import type { RowVersion } from '../../contract.ts';
import { PartitionOverlay } from '../../partition/overlay.ts';
import type { Steps } from '../../slices/steps.ts';
import type { RowAccess } from '../granted-rows.ts';
import { rowsOfChunk } from '../row-chunks.ts';
import { versionOf } from '../scan-messages.ts';
import type { ColdSource, HotSource, RecentRows } from './query-messages.ts';

/** A partition at one watermark, as the query thread reads it. */
export interface PartitionRows {
  readonly table: Table;
  readonly source: HotSource;
  readonly hot: HotSnapshot;
  /** The versions that the hot view lacks. */
  readonly recent: PartitionOverlay;
  /** The rows of segments that the versions in `recent` have taken the place of. */
  readonly recentMasks: readonly ColdPosition[];
  readonly watermark: bigint;
  /** Tombstones up to it may be gone. */
  readonly expiredSeq: bigint;
  /** `undefined`: there are no segments. */
  readonly cold: ColdSource | undefined;
}

/** Versions at or below it are dead: a segment holds what they were, or something newer has replaced them. */
export function flushedSeqOf({ cold }: Pick<PartitionRows, 'cold'>): bigint {
  return cold?.flushedSeq ?? 0n;
}

/** A newest version: as it is stored, or decoded. */
export type FoundRow = StoredRow | RowVersion;

/** The overlay of what the main thread has sent, in steps. */
export function* recentRows({ chunks }: Pick<RecentRows, 'chunks'>): Steps<PartitionOverlay> {
  const recent = new PartitionOverlay();
  for (const chunk of chunks) {
    for (const row of rowsOfChunk(chunk)) recent.add(versionOf(row));
    yield;
  }
  return recent;
}

/** The newest versions of a part of the partition in key order that are hot and not dead, tombstones included. */
export function rowsThere(rows: PartitionRows, access: RowAccess): Iterable<FoundRow> {
  const found = access.kind === 'keys' ? byKey(rows, access.keys) : scanned(rows, access.range);
  return rows.cold === undefined ? found : above(rows.cold.flushedSeq, found);
}

function* above(seq: bigint, rows: Iterable<FoundRow>): Iterable<FoundRow> {
  for (const row of rows) if (row.seq > seq) yield row;
}

/** The newest versions above `seq`, which are not dead, by key, tombstones included; `undefined` when they are more than `rowsMax`. */
export function changesAfter(rows: PartitionRows, seq: bigint, rowsMax: number): ReadonlyMap<RowKey, FoundRow> | undefined {
  const { hot, source, recent, watermark, table } = rows;
  const changes = new Map<RowKey, FoundRow>();
  for (const row of hot.scanBySeq(source.partition, seq)) {
    if (changes.size >= rowsMax) return undefined;
    changes.set(row.key, row);
  }
  for (const row of recent.above(seq, watermark)) {
    if (changes.size >= rowsMax) return undefined;
    // What was decoded for an older version of the table is in the hot tier too.
    if (row.seq >= table.sinceSeq) changes.set(row.key, row);
  }
  return changes;
}

/** Whether the partition has a version above `seq`, hot ones only. */
export function changedAfter({ hot, source: { partition }, recent, watermark }: PartitionRows, seq: bigint): boolean {
  return recent.above(seq, watermark).next().done !== true || hot.scanBySeq(partition, seq).next().done !== true;
}

function* byKey({ table, source, hot, recent, watermark }: PartitionRows, keys: readonly RowKey[]): Iterable<FoundRow> {
  for (const key of keys) {
    const newer = recent.at(key, watermark);
    const row = newer !== undefined && newer.seq >= table.sinceSeq ? newer : hot.get(source.partition, key);
    if (row !== undefined) yield row;
  }
}

function* scanned({ table, source, hot, recent, watermark }: PartitionRows, range: KeyRange): Iterable<FoundRow> {
  const newer = recent.inKeyOrder(range, watermark);
  /** What was decoded for an older version of the table is passed over: the hot tier has it. */
  const following = (): RowVersion | undefined => {
    let next = newer.next().value;
    while (next !== undefined && next.seq < table.sinceSeq) next = newer.next().value;
    return next;
  };
  let next = following();
  for (const row of hot.scan(source.partition, range)) {
    for (; next !== undefined && next.key < row.key; next = following()) yield next;
    if (next?.key === row.key) continue;
    yield row;
  }
  for (; next !== undefined; next = following()) yield next;
}
