import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import { partitionName } from '../partition/overlay.ts';
import { firstAtOrAbove, mergeKeys, sortInSteps, sortKeys } from '../partition/sorted-keys.ts';
import { SteadyMap } from '../slices/steady-map.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';

/** A version that a transaction has written and not committed. */
export interface OwnWrite {
  readonly table: Table;
  readonly partition: PartitionId;
  readonly version: RowVersion;
  /** What the transaction's snapshot has under the key, tombstones included. */
  readonly base: RowVersion | undefined;
  /** The encoded cells. */
  readonly bytes: Uint8Array;
  /** See `upsert` of a write of the sequencer. */
  readonly upsert: boolean;
}

/** What a transaction comes to. */
export interface OwnChanges {
  /** In the order of its statements. */
  readonly changes: readonly OwnWrite[];
  /** Those that it changes. */
  readonly partitions: readonly PartitionId[];
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

/** Keys that a reader sorts itself. */
const UNSORTED_KEYS_MAX = 2048;
/** Writes that one step looks at. */
const STEP_WRITES = 256;
/** Rough heap weight of a buffered row beside its encoded bytes. */
const ROW_OVERHEAD_BYTES = 200;

const weight = (write: OwnWrite | undefined): number => (write === undefined ? 0 : write.bytes.byteLength + ROW_OVERHEAD_BYTES);

const inOrder = (a: OwnWrite, b: OwnWrite): boolean => a.version.seq <= b.version.seq;

const itself = (key: RowKey): RowKey => key;

/** The newest own version of each key in one partition. */
export class OwnPartition {
  readonly #newest = new SteadyMap<RowKey, OwnWrite>();
  /** Ascending. Some may be gone. */
  #sortedKeys: readonly RowKey[] = [];
  /** Keys that came since, some of them twice or in `#sortedKeys` too. */
  #newKeys: RowKey[] = [];

  get size(): number {
    return this.#newest.size;
  }

  get(key: RowKey): OwnWrite | undefined {
    return this.#newest.get(key);
  }

  has(key: RowKey): boolean {
    return this.#newest.has(key);
  }

  values(): Iterable<OwnWrite> {
    return this.#newest.values();
  }

  /** Puts a version in the place of the one before; `undefined` takes the key out. */
  set(key: RowKey, write: OwnWrite | undefined): void {
    if (write === undefined) this.#newest.delete(key);
    else {
      if (!this.#newest.has(key)) this.#newKeys.push(key);
      this.#newest.set(key, write);
    }
  }

  /** Whether so many keys came that whoever reads next should not be the one to sort them. */
  get isUnsorted(): boolean {
    return this.#newKeys.length > UNSORTED_KEYS_MAX;
  }

  /** Sorts the keys that came since the last time, in short steps during which none come. */
  *sort(): Steps<void> {
    if (this.#newKeys.length === 0) return;
    this.#sortedKeys = yield* mergeKeys(this.#sortedKeys, yield* sortKeys(this.#newKeys));
    this.#newKeys = [];
  }

  /** The versions within the range, in the direction of the scan; found while it is read. */
  *inKeyOrder(range: KeyRange): Generator<RowVersion, undefined> {
    finishSteps(this.sort());
    const keys = this.#sortedKeys;
    const start = range.from === undefined ? 0 : firstAtOrAbove(keys, range.from, itself);
    const end = range.before === undefined ? keys.length : firstAtOrAbove(keys, range.before, itself);
    for (let offset = 0; offset < end - start; offset++) {
      const key = keys[range.reverse === true ? end - 1 - offset : start + offset];
      const write = key === undefined ? undefined : this.#newest.get(key);
      if (write !== undefined) yield write.version;
    }
    return undefined;
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

  /** Takes back everything since a mark, in short steps; marks taken after it are no longer valid. */
  *undoTo({ undone }: UndoMark): Steps<void> {
    while (this.#undo.length > undone) {
      const last = this.#undo.pop();
      if (last === undefined) break;
      this.#bytes -= weight(last.part.get(last.key));
      last.part.set(last.key, last.before);
      if (this.#undo.length % STEP_WRITES === 0) yield;
    }
  }

  /** No savepoint is left: forgets what it would take to go back. */
  forgetUndo(): void {
    for (const { before } of this.#undo) this.#bytes -= weight(before);
    this.#undo = [];
  }

  /** What the transaction comes to, in the order of its statements, in short steps: a row that was not there and is not there is no change. */
  *changes(): Steps<OwnChanges> {
    const parts: (readonly OwnWrite[])[] = [];
    const partitions: PartitionId[] = [];
    for (const part of this.#parts.values()) {
      const changed: OwnWrite[] = [];
      let left = STEP_WRITES;
      for (const write of part.values()) {
        if (!write.version.deleted || isLive(write.base)) changed.push(write);
        if (--left > 0) continue;
        left = STEP_WRITES;
        yield;
      }
      const [first] = changed;
      if (first === undefined) continue;
      parts.push(changed);
      partitions.push(first.partition);
    }
    return { changes: yield* sortInSteps(parts.length === 1 ? (parts[0] ?? []) : parts.flat(), inOrder), partitions };
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
