import { kalamError } from '@kalamdb/protocol';
import type {
  CommitPart,
  ExpiredTombstones,
  FlushedRows,
  HotSnapshot,
  HotStore,
  KeyRange,
  LogEntry,
  PartitionId,
  PurgedRows,
  RowKey,
  StoredRow,
} from '../contract.ts';
import { decodeCommit } from '../log/commit-codec.ts';
import { MemoryPartition } from './memory-partition.ts';
import { partitionPrefix, prefixOwner, tablePrefix } from './partition-key.ts';

/** What a `_seq` takes. */
const SEQ_BYTES = 8;

/** Partitions by their binary prefix. */
type Partitions = ReadonlyMap<string, MemoryPartition>;

class MemorySnapshot implements HotSnapshot {
  readonly appliedSeq: bigint;
  readonly #closed: () => void;
  #partitions: Partitions | undefined;

  constructor(partitions: Partitions, appliedSeq: bigint, closed: () => void) {
    this.#partitions = partitions;
    this.appliedSeq = appliedSeq;
    this.#closed = closed;
  }

  #open(): Partitions {
    if (this.#partitions === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'the snapshot is closed' });
    return this.#partitions;
  }

  get(partition: PartitionId, key: RowKey): StoredRow | undefined {
    return this.#open().get(partitionPrefix(partition))?.get(key);
  }

  scan(partition: PartitionId, range: KeyRange = {}): IterableIterator<StoredRow> {
    return (this.#open().get(partitionPrefix(partition)) ?? new MemoryPartition()).scan(range);
  }

  scanBySeq(partition: PartitionId, afterSeq: bigint): IterableIterator<StoredRow> {
    return (this.#open().get(partitionPrefix(partition)) ?? new MemoryPartition()).scanBySeq(afterSeq);
  }

  owners(tableId: number): IterableIterator<string> {
    const start = tablePrefix(tableId);
    const prefixes = [...this.#open().keys()].filter((prefix) => prefix.startsWith(start));
    return prefixes.sort().map(prefixOwner).values();
  }

  close(): void {
    if (this.#partitions === undefined) return;
    this.#partitions = undefined;
    this.#closed();
  }
}

class MemoryStore implements HotStore {
  #appliedSeq = 0n;
  #partitions = new Map<string, MemoryPartition>();
  /** Whether a snapshot may hold the map itself. */
  #mapShared = false;
  /** Partitions changed since the last snapshot was taken: no snapshot can hold them, so they may be changed in place. */
  readonly #owned = new Set<MemoryPartition>();
  #openSnapshots = 0;
  #closed = false;

  get appliedSeq(): bigint {
    return this.#appliedSeq;
  }

  snapshot(): HotSnapshot {
    this.#assertOpen();
    this.#owned.clear();
    this.#mapShared = true;
    this.#openSnapshots += 1;
    return new MemorySnapshot(this.#partitions, this.#appliedSeq, () => {
      this.#openSnapshots -= 1;
    });
  }

  async apply(entries: readonly LogEntry[]): Promise<void> {
    this.#assertOpen();
    // Everything is decoded before anything changes, so a damaged payload leaves the store as it was.
    const commits = entries.filter((entry) => entry.seq > this.#appliedSeq).map((entry) => decodeCommit(entry.payload));
    if (commits.length === 0) return;
    const partitions = this.#writableMap();
    for (const commit of commits) for (const part of commit.parts) this.#applyPart(partitions, part);
    this.#appliedSeq = commits.at(-1)?.seq ?? this.#appliedSeq;
  }

  async load(payload: Uint8Array): Promise<void> {
    this.#assertOpen();
    const { parts } = decodeCommit(payload);
    const partitions = this.#writableMap();
    for (const part of parts) this.#applyPart(partitions, part);
  }

  async purge(tableId: number, rowsMax: number): Promise<PurgedRows> {
    this.#assertOpen();
    const start = tablePrefix(tableId);
    const partitions = this.#writableMap();
    let left = rowsMax;
    const purged = { rows: 0, bytes: 0 };
    for (const prefix of [...partitions.keys()].filter((name) => name.startsWith(start)).sort()) {
      if (left === 0) break;
      const partition = this.#writable(partitions, prefix);
      const removed = partition.purge(left);
      left -= removed.length;
      for (const row of removed) {
        if (!row.deleted) purged.rows += 1;
        purged.bytes += row.key.length + SEQ_BYTES + row.bytes.byteLength;
      }
      if (partition.rowCount === 0) partitions.delete(prefix);
    }
    for (const prefix of partitions.keys()) if (prefix.startsWith(start)) return { ...purged, more: true };
    return { ...purged, more: false };
  }

  async purgeFlushed({ partition: id, throughSeq }: FlushedRows, rowsMax: number): Promise<PurgedRows> {
    this.#assertOpen();
    const prefix = partitionPrefix(id);
    if (!this.#partitions.has(prefix)) return { rows: 0, bytes: 0, more: false };
    const partitions = this.#writableMap();
    const partition = this.#writable(partitions, prefix);
    const purged = { rows: 0, bytes: 0 };
    for (const row of partition.purgeThrough(throughSeq, rowsMax)) {
      if (!row.deleted) purged.rows += 1;
      purged.bytes += row.key.length + SEQ_BYTES + row.bytes.byteLength;
    }
    if (partition.rowCount === 0) partitions.delete(prefix);
    const next = partition.scanBySeq(0n).next().value?.seq ?? throughSeq + 1n;
    return { ...purged, more: next <= throughSeq };
  }

  async purgeTombstones({ partition: id, rows }: ExpiredTombstones): Promise<PurgedRows> {
    this.#assertOpen();
    const prefix = partitionPrefix(id);
    if (!this.#partitions.has(prefix)) return { rows: 0, bytes: 0, more: false };
    const partitions = this.#writableMap();
    const partition = this.#writable(partitions, prefix);
    let bytes = 0;
    for (const { key, seq } of rows) {
      const row = partition.get(key);
      if (row?.deleted !== true || row.seq !== seq) continue;
      partition.remove(row);
      bytes += key.length + SEQ_BYTES + row.bytes.byteLength;
    }
    if (partition.rowCount === 0) partitions.delete(prefix);
    return { rows: 0, bytes, more: false };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#partitions = new Map();
  }

  #assertOpen(): void {
    if (this.#closed) throw kalamError('INTERNAL_ERROR', { reason: 'the hot store is closed' });
  }

  #applyPart(partitions: Map<string, MemoryPartition>, part: CommitPart): void {
    const partition = this.#writable(partitions, partitionPrefix(part.partition));
    for (const row of part.rows) partition.put(row);
  }

  #writableMap(): Map<string, MemoryPartition> {
    if (this.#mapShared && this.#openSnapshots > 0) this.#partitions = new Map(this.#partitions);
    this.#mapShared = false;
    return this.#partitions;
  }

  #writable(partitions: Map<string, MemoryPartition>, prefix: string): MemoryPartition {
    const found = partitions.get(prefix);
    if (found !== undefined && (this.#openSnapshots === 0 || this.#owned.has(found))) return found;
    const own = new MemoryPartition(found);
    this.#owned.add(own);
    partitions.set(prefix, own);
    return own;
  }
}

/** A hot store that lives in memory: for databases without a directory, and as the simple half of the conformance suite. */
export function openMemoryStore(): HotStore {
  return new MemoryStore();
}
