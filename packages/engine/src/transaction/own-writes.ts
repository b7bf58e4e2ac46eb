import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import { partitionName } from '../partition/overlay.ts';

/** A version that a transaction has written and not committed. */
export interface OwnWrite {
  readonly table: Table;
  readonly partition: PartitionId;
  readonly version: RowVersion;
  /** What the transaction's snapshot has under the key, tombstones included. */
  readonly base: RowVersion | undefined;
  /** The encoded cells. */
  readonly bytes: Uint8Array;
}

/** A point that {@link OwnWrites.undoTo} goes back to. */
export interface UndoMark {
  readonly undone: number;
}

interface Undo {
  readonly part: OwnPartition;
  readonly key: RowKey;
  /** What the key had before; `undefined`: nothing of the transaction's own. */
  readonly before: OwnWrite | undefined;
}

/** Rough heap weight of a buffered row beside its encoded bytes. */
const ROW_OVERHEAD_BYTES = 200;

const weight = (write: OwnWrite | undefined): number => (write === undefined ? 0 : write.bytes.byteLength + ROW_OVERHEAD_BYTES);

const inRange = (key: RowKey, range: KeyRange): boolean =>
  (range.from === undefined || key >= range.from) && (range.before === undefined || key < range.before);

/** The newest own version of each key in one partition. */
export class OwnPartition {
  readonly #newest = new Map<RowKey, OwnWrite>();
  #sortedKeys: readonly RowKey[] | undefined;

  get size(): number {
    return this.#newest.size;
  }

  get(key: RowKey): OwnWrite | undefined {
    return this.#newest.get(key);
  }

  has(key: RowKey): boolean {
    return this.#newest.has(key);
  }

  values(): IterableIterator<OwnWrite> {
    return this.#newest.values();
  }

  /** Puts a version in the place of the one before; `undefined` takes the key out. */
  set(key: RowKey, write: OwnWrite | undefined): void {
    if (write === undefined ? this.#newest.delete(key) : !this.#newest.has(key)) this.#sortedKeys = undefined;
    if (write !== undefined) this.#newest.set(key, write);
  }

  /** The versions within the range, in the direction of the scan. */
  inKeyOrder(range: KeyRange): readonly RowVersion[] {
    this.#sortedKeys ??= [...this.#newest.keys()].sort((a, b) => (a < b ? -1 : 1));
    const found: RowVersion[] = [];
    for (const key of this.#sortedKeys) {
      const write = inRange(key, range) ? this.#newest.get(key) : undefined;
      if (write !== undefined) found.push(write.version);
    }
    return range.reverse === true ? found.reverse() : found;
  }
}

/**
 * What a transaction has written, by partition and key, and what it takes to go back to a savepoint. Versions that a
 * savepoint may bring back count towards `bytes` like those that are visible.
 */
export class OwnWrites {
  readonly #parts = new Map<string, OwnPartition>();
  /** What was replaced, oldest first; kept only while there are savepoints. */
  #undo: Undo[] = [];
  #bytes = 0;

  /** Approximate heap weight. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rows that the transaction has changed. */
  get rows(): number {
    let rows = 0;
    for (const part of this.#parts.values()) rows += part.size;
    return rows;
  }

  partition(partition: PartitionId): OwnPartition | undefined {
    return this.#parts.get(partitionName(partition));
  }

  /** Adds a version. With `undoable` the one it replaces is kept for {@link undoTo}. */
  put(write: OwnWrite, undoable: boolean): void {
    const name = partitionName(write.partition);
    let part = this.#parts.get(name);
    if (part === undefined) {
      part = new OwnPartition();
      this.#parts.set(name, part);
    }
    const { key } = write.version;
    const before = part.get(key);
    if (undoable) this.#undo.push({ part, key, before });
    else this.#bytes -= weight(before);
    part.set(key, write);
    this.#bytes += weight(write);
  }

  /** The present point. */
  mark(): UndoMark {
    return { undone: this.#undo.length };
  }

  /** Takes back everything since a mark; marks taken after it are no longer valid. */
  undoTo({ undone }: UndoMark): void {
    while (this.#undo.length > undone) {
      const last = this.#undo.pop();
      if (last === undefined) break;
      this.#bytes -= weight(last.part.get(last.key));
      last.part.set(last.key, last.before);
    }
  }

  /** No savepoint is left: forgets what it would take to go back. */
  forgetUndo(): void {
    for (const { before } of this.#undo) this.#bytes -= weight(before);
    this.#undo = [];
  }

  /** What the transaction comes to, in the order of its statements: a row that was not there and is not there is no change. */
  changes(): readonly OwnWrite[] {
    const changes: OwnWrite[] = [];
    for (const part of this.#parts.values()) {
      for (const write of part.values()) if (!write.version.deleted || isLive(write.base)) changes.push(write);
    }
    return changes.sort((a, b) => (a.version.seq < b.version.seq ? -1 : 1));
  }

  /** Lets go of everything. */
  clear(): void {
    this.#parts.clear();
    this.#undo = [];
    this.#bytes = 0;
  }
}

/** Whether a row is there. */
export function isLive(version: RowVersion | undefined): boolean {
  return version !== undefined && !version.deleted;
}
