import { Buffer } from 'node:buffer';
import type { ColdMask, Commit, CommitRow, HotSnapshot, KeyRange, LogEntry, PartitionId, RowKey, StoredRow } from '../contract.ts';
import { encodeCommit } from '../log/commit-codec.ts';

/** What a commit of a test does to one row. */
export interface Change {
  readonly partition: PartitionId;
  readonly key: string;
  readonly deleted: boolean;
  readonly bytes: number;
  readonly masks?: ColdMask | undefined;
}

const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const idOf = ({ tableId, owner }: PartitionId): string => `${tableId} ${owner}`;

/** A row as a text that is quick to compare. */
export function rowText(row: StoredRow): string {
  return `${JSON.stringify(row.key)} ${row.seq} ${row.createdSeq} ${row.deleted} ${JSON.stringify(row.masks)} ${Buffer.from(row.bytes).toString('latin1')}`;
}

/** The slow and obvious hot tier: for each partition a list of rows. */
export class HotModel {
  readonly #partitions: Map<string, { partition: PartitionId; rows: StoredRow[] }>;
  seq: bigint;

  constructor(source?: HotModel) {
    this.#partitions = new Map();
    for (const [id, { partition, rows }] of source === undefined ? [] : source.#partitions)
      this.#partitions.set(id, { partition, rows: rows.slice() });
    this.seq = source?.seq ?? 0n;
  }

  /** Makes the changes one commit, and answers it as the log has it. */
  commit(changes: readonly Change[]): LogEntry {
    const parts = new Map<string, { partition: PartitionId; rows: CommitRow[] }>();
    for (const { partition, key, deleted, bytes, masks } of changes) {
      this.seq += 3n;
      const rows = this.#rows(partition);
      const at = rows.findIndex((row) => row.key === key);
      const old = rows[at];
      const row: StoredRow = {
        key: key as RowKey,
        seq: this.seq,
        createdSeq: old?.createdSeq ?? this.seq,
        deleted,
        bytes: Buffer.alloc(bytes, Number(this.seq % 200n) + 1),
        masks,
      };
      if (at === -1) rows.push(row);
      else rows[at] = row;
      const part = parts.get(idOf(partition)) ?? { partition, rows: [] };
      part.rows.push({ ...row, replacedSeq: old?.seq ?? 0n });
      parts.set(idOf(partition), part);
    }
    const commit: Commit = { seq: this.seq, parts: [...parts.values()] };
    return { seq: this.seq, payload: encodeCommit(commit) };
  }

  dropTable(tableId: number): void {
    for (const [id, { partition }] of this.#partitions) if (partition.tableId === tableId) this.#partitions.delete(id);
  }

  /** Removes the oldest rows of a partition, as many as there are up to `throughSeq`, and answers how many of them are not deleted. */
  dropThrough(partition: PartitionId, throughSeq: bigint): number {
    const doomed = this.#rows(partition).filter(({ seq }) => seq <= throughSeq);
    const kept = this.#rows(partition).filter(({ seq }) => seq > throughSeq);
    this.#partitions.set(idOf(partition), { partition, rows: kept });
    return doomed.filter(({ deleted }) => !deleted).length;
  }

  /** Removes the tombstones of a partition up to `throughSeq`. */
  dropTombstones(partition: PartitionId, throughSeq: bigint): void {
    const kept = this.#rows(partition).filter(({ seq, deleted }) => !deleted || seq > throughSeq);
    this.#partitions.set(idOf(partition), { partition, rows: kept });
  }

  rowCount(tableId: number): number {
    let count = 0;
    for (const { partition, rows } of this.#partitions.values()) if (partition.tableId === tableId) count += rows.length;
    return count;
  }

  /** Of them those that are not deleted. */
  liveRowCount(tableId: number): number {
    const parts = [...this.#partitions.values()].filter(({ partition }) => partition.tableId === tableId);
    return parts.reduce((count, { rows }) => count + rows.filter(({ deleted }) => !deleted).length, 0);
  }

  get(partition: PartitionId, key: string): StoredRow | undefined {
    return this.#partitions.get(idOf(partition))?.rows.find((row) => row.key === key);
  }

  scan(partition: PartitionId, range: KeyRange): StoredRow[] {
    const rows = (this.#partitions.get(idOf(partition))?.rows ?? []).filter(
      ({ key }) => (range.from === undefined || key >= range.from) && (range.before === undefined || key < range.before),
    );
    rows.sort((a, b) => (a.key < b.key ? -1 : 1));
    return range.reverse === true ? rows.reverse() : rows;
  }

  scanBySeq(partition: PartitionId, afterSeq: bigint): StoredRow[] {
    const rows = (this.#partitions.get(idOf(partition))?.rows ?? []).filter(({ seq }) => seq > afterSeq);
    return rows.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }

  owners(tableId: number): string[] {
    const found = [...this.#partitions.values()].filter(({ partition, rows }) => partition.tableId === tableId && rows.length > 0);
    return found.map(({ partition }) => partition.owner).sort(byteOrder);
  }

  #rows(partition: PartitionId): StoredRow[] {
    const found = this.#partitions.get(idOf(partition)) ?? { partition, rows: [] };
    this.#partitions.set(idOf(partition), found);
    return found.rows;
  }
}

/** Everything that a view says about these partitions, as texts; the same for a snapshot and for the model. */
export function everything(
  view: HotSnapshot | HotModel,
  scope: {
    readonly partitions: readonly PartitionId[];
    readonly ranges: readonly KeyRange[];
    readonly keys: readonly string[];
    readonly afterSeqs: readonly bigint[];
  },
): string[] {
  const both = view as HotModel & HotSnapshot;
  const texts: string[] = [];
  for (const partition of scope.partitions) {
    texts.push(`owners ${[...both.owners(partition.tableId)].map((owner) => JSON.stringify(owner)).join()}`);
    for (const range of scope.ranges) texts.push([...both.scan(partition, range)].map(rowText).join());
    for (const afterSeq of scope.afterSeqs) texts.push([...both.scanBySeq(partition, afterSeq)].map(rowText).join());
    for (const key of scope.keys) {
      const row = both.get(partition, key as RowKey);
      texts.push(row === undefined ? 'none' : rowText(row));
    }
  }
  return texts;
}
