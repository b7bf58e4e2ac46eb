import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet, RowVersion } from '../contract.ts';
import { KeptCounts } from './kept-counts.ts';
import { partitionName } from './overlay.ts';
import { firstAtOrAbove } from './sorted-keys.ts';

/** Approximate heap weight of the decoded rows that are kept, over all partitions. */
export const ROW_CACHE_BYTES_MAX: number = 64 * 1024 * 1024;
/** Share of the budget that one partition may take; a larger one is kept row by row as far as it fits, never whole. */
const PARTITION_SHARE = 0.25;
/** Rows up to which a partition is kept whole, so that a scan of it needs neither the store nor decoding. */
export const WHOLE_PARTITION_ROWS_MAX = 20_000;
/** Heap weight of a decoded row beside its cells, and of a cell. */
const ROW_BYTES = 160;
const CELL_BYTES = 16;

const keyOfRow = ({ key }: RowVersion): RowKey => key;

/** Figures of a cache, for statistics and tests. */
export interface RowCacheStatus {
  readonly bytes: number;
  readonly partitions: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
}

interface CachedPartition {
  readonly tableId: number;
  /** The newest published version of each row that is kept, tombstones included. */
  readonly rows: Map<RowKey, RowVersion>;
  /** Newest commit that touched the partition since it is kept; at first the point at which it was filled. */
  changedSeq: bigint;
  /** Every row is here. */
  whole: boolean;
  /** The rows in key order; `undefined` when it has to be made again. */
  sorted: RowVersion[] | undefined;
  /** `sorted` was handed to a reader: it must not be changed in place. */
  shared: boolean;
  bytes: number;
}

/**
 * Decoded rows by partition, under a byte budget. It follows every commit when it is published, so what it holds is always
 * the newest version below the watermark: a row serves snapshots at or above its `_seq`, and absence and whole scans are
 * served only to snapshots that have seen every change of the partition. The partition used longest ago goes first.
 */
export class RowCache {
  /** Follows the same commits. */
  readonly counts: KeptCounts = new KeptCounts();
  readonly #bytesMax: number;
  /** In order of use, least recent first. */
  readonly #partitions = new Map<string, CachedPartition>();
  /** Table id -> the commit since which its rows read as they do now. */
  readonly #laidOutSince = new Map<number, bigint>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(bytesMax: number = ROW_CACHE_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get status(): RowCacheStatus {
    return { bytes: this.#bytes, partitions: this.#partitions.size, hits: this.#hits, misses: this.#misses, evictions: this.#evictions };
  }

  /** The row as a snapshot at `watermark` sees it: a version, `absent` when it certainly has none, `undefined` when not known. */
  get(partition: PartitionId, key: RowKey, watermark: bigint): RowVersion | 'absent' | undefined {
    const cached = this.#use(partition, watermark);
    const row = cached?.rows.get(key);
    if (row !== undefined && row.seq <= watermark) return this.#hit(row);
    if (row === undefined && cached?.whole === true && cached.changedSeq <= watermark) return this.#hit('absent');
    this.#misses += 1;
    return undefined;
  }

  /** All rows of the range in the order of the scan; `undefined` when they are not all here for this watermark. Not to be changed. */
  scan(partition: PartitionId, range: KeyRange, watermark: bigint): readonly RowVersion[] | undefined {
    const cached = this.#use(partition, watermark);
    if (cached === undefined || !cached.whole || cached.changedSeq > watermark) {
      this.#misses += 1;
      return undefined;
    }
    cached.sorted ??= [...cached.rows.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    if (range.from === undefined && range.before === undefined && range.reverse !== true) {
      cached.shared = true;
      return this.#hit(cached.sorted);
    }
    const start = range.from === undefined ? 0 : firstAtOrAbove(cached.sorted, range.from, keyOfRow);
    const end = range.before === undefined ? cached.sorted.length : firstAtOrAbove(cached.sorted, range.before, keyOfRow);
    const rows = cached.sorted.slice(start, Math.max(start, end));
    return this.#hit(range.reverse === true ? rows.reverse() : rows);
  }

  /** Keeps a row that a reader decoded at `watermark`, which must be the newest one: nothing was published since. */
  put(partition: PartitionId, row: RowVersion, watermark: bigint): void {
    const name = partitionName(partition);
    const cached = this.#partitions.get(name) ?? this.#add(name, partition, watermark);
    if (cached.whole || cached.changedSeq > watermark) return;
    this.#store(cached, row);
    this.#bound(cached);
  }

  /** Keeps a whole partition that a reader scanned at `watermark`, in key order; nothing was published since. */
  putWhole(partition: PartitionId, rows: readonly RowVersion[], watermark: bigint): void {
    if (rows.length > WHOLE_PARTITION_ROWS_MAX) return;
    const name = partitionName(partition);
    this.#drop(name);
    const cached = this.#add(name, partition, watermark);
    for (const row of rows) this.#store(cached, row);
    cached.whole = true;
    cached.sorted = [...rows];
    this.#bound(cached);
  }

  /** Follows a commit; called for each, in order, when the watermark passes it. */
  observe(change: ChangeSet): void {
    this.counts.observe(change);
    for (const { partition, rows } of change.parts) {
      const cached = this.#partitions.get(partitionName(partition));
      if (cached === undefined) continue;
      cached.changedSeq = change.seq;
      for (const { key, seq, createdSeq, deleted, cells, masks } of rows)
        this.#follow(cached, { key, seq, createdSeq, deleted, cells, masks });
      this.#bound(cached);
    }
  }

  /** Follows a commit of many rows: forgets the partitions that it changed. */
  observeLarge(change: ChangeSet): void {
    this.counts.observeLarge(change);
    for (const { partition } of change.parts) this.#drop(partitionName(partition));
  }

  /** Forgets a partition whose rows were flushed: what it held up to there lies in the cold tier now. */
  forgetPartition(partition: PartitionId): void {
    this.#drop(partitionName(partition));
  }

  /** Forgets a table that was dropped; answers how many rows of it were kept. */
  forgetTable(tableId: number): number {
    this.#laidOutSince.delete(tableId);
    return this.#dropTable(tableId);
  }

  /** Forgets the rows of a table that read differently since a commit, and serves no snapshot from before it. */
  layOut(tableId: number, sinceSeq: bigint): void {
    this.#laidOutSince.set(tableId, sinceSeq);
    this.#dropTable(tableId);
  }

  /** The commit since which the rows of a table read as they do now; 0n when they were never altered since the database was opened. */
  laidOutSince(tableId: number): bigint {
    return this.#laidOutSince.get(tableId) ?? 0n;
  }

  #dropTable(tableId: number): number {
    this.counts.forgetTable(tableId);
    let rows = 0;
    for (const [name, cached] of this.#partitions) {
      if (cached.tableId !== tableId) continue;
      rows += cached.rows.size;
      this.#drop(name);
    }
    return rows;
  }

  #follow(cached: CachedPartition, row: RowVersion): void {
    const known = cached.rows.has(row.key);
    if (!known && !cached.whole) return;
    this.#store(cached, row);
    if (cached.sorted === undefined) return;
    const last = cached.sorted.at(-1);
    const appends = !known && (last === undefined || row.key > last.key);
    if (!known && !appends) {
      cached.sorted = undefined;
      cached.shared = false;
      return;
    }
    if (cached.shared) {
      cached.sorted = [...cached.sorted];
      cached.shared = false;
    }
    if (appends) cached.sorted.push(row);
    else cached.sorted[firstAtOrAbove(cached.sorted, row.key, keyOfRow)] = row;
  }

  #store(cached: CachedPartition, row: RowVersion): void {
    const before = cached.rows.get(row.key);
    const bytes = weightOf(row) - (before === undefined ? 0 : weightOf(before));
    cached.rows.set(row.key, row);
    cached.bytes += bytes;
    this.#bytes += bytes;
  }

  #add(name: string, { tableId }: PartitionId, watermark: bigint): CachedPartition {
    const cached: CachedPartition = {
      tableId,
      rows: new Map(),
      changedSeq: watermark,
      whole: false,
      sorted: undefined,
      shared: false,
      bytes: 0,
    };
    this.#partitions.set(name, cached);
    return cached;
  }

  #use(partition: PartitionId, watermark: bigint): CachedPartition | undefined {
    const name = partitionName(partition);
    const cached = this.#partitions.get(name);
    if (cached === undefined || watermark < this.laidOutSince(cached.tableId)) return undefined;
    this.#partitions.delete(name);
    this.#partitions.set(name, cached);
    return cached;
  }

  #hit<T>(value: T): T {
    this.#hits += 1;
    return value;
  }

  #drop(name: string): void {
    const cached = this.#partitions.get(name);
    if (cached === undefined) return;
    this.#partitions.delete(name);
    this.#bytes -= cached.bytes;
  }

  /** Drops the partition that has grown too large, else those used longest ago, until the budget holds. */
  #bound(grown: CachedPartition): void {
    if (grown.bytes > this.#bytesMax * PARTITION_SHARE || grown.rows.size > WHOLE_PARTITION_ROWS_MAX) {
      for (const [name, cached] of this.#partitions) if (cached === grown) this.#evict(name);
    }
    for (const name of this.#partitions.keys()) {
      if (this.#bytes <= this.#bytesMax) return;
      this.#evict(name);
    }
  }

  #evict(name: string): void {
    this.#drop(name);
    this.#evictions += 1;
  }
}

/** Approximate heap weight of a decoded row. */
export function weightOf({ key, cells }: RowVersion): number {
  let bytes = ROW_BYTES + key.length + cells.length * CELL_BYTES;
  for (const cell of cells) {
    if (typeof cell === 'string') bytes += cell.length * 2;
    else if (typeof cell === 'object' && cell !== null) bytes += cell.byteLength;
  }
  return bytes;
}
