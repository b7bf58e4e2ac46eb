import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import type { ChangeSet, PartitionChanges, RowVersion } from '../contract.ts';
import { SteadyMap } from '../slices/steady-map.ts';
import { finishSteps, type Steps } from '../slices/steps.ts';
import { firstAtOrAbove, mergeKeys, sortKeys } from './sorted-keys.ts';

const itself = (key: RowKey): RowKey => key;

/** One text per partition, for maps. */
export function partitionName(partition: PartitionId): string {
  return `${partition.tableId}/${partition.owner}`;
}

/** Versions that one step of a removal takes. */
const STEP_VERSIONS = 64;
/** Keys and versions that are gone and still take a place here, beside as many as are there, and keys in no order, before {@link PartitionOverlay.tidy} is due. */
const STALE_MAX = 1024;

/** The versions of one partition that the hot tier does not hold yet, and the commits still on their way to the log. */
export class PartitionOverlay {
  /** Versions of a key in `_seq` order, newest last; never empty. */
  readonly #chains = new SteadyMap<RowKey, RowVersion[]>();
  /** Ascending. Some may be gone: nothing is under them. Readers walk along it, so it only ever grows at its end, or is replaced. */
  #sortedKeys: RowKey[] = [];
  /** Keys that came since, in no order, some of them twice. */
  #newKeys: RowKey[] = [];
  /** All versions in `_seq` order, from `#head` on; some may be gone. As for readers, see `#sortedKeys`. */
  #versions: RowVersion[] = [];
  #head = 0;
  #versionCount = 0;

  get isEmpty(): boolean {
    return this.#chains.size === 0;
  }

  /** The newest version, commits that are not durable yet included. For writers inside their turn only. */
  newest(key: RowKey): RowVersion | undefined {
    return this.#chains.get(key)?.at(-1);
  }

  /** The newest version that a reader at `watermark` may see. */
  at(key: RowKey, watermark: bigint): RowVersion | undefined {
    const chain = this.#chains.get(key);
    if (chain === undefined) return undefined;
    for (let index = chain.length - 1; index >= 0; index--) {
      const version = chain[index];
      if (version !== undefined && version.seq <= watermark) return version;
    }
    return undefined;
  }

  /** What a reader at `watermark` sees here within the range, in the direction of the scan; found while it is read. */
  *inKeyOrder(range: KeyRange, watermark: bigint): Generator<RowVersion, undefined> {
    const keys = this.sortedKeys();
    const start = range.from === undefined ? 0 : firstAtOrAbove(keys, range.from, itself);
    const end = range.before === undefined ? keys.length : firstAtOrAbove(keys, range.before, itself);
    for (let offset = 0; offset < end - start; offset++) {
      const key = keys[range.reverse === true ? end - 1 - offset : start + offset];
      const version = key === undefined ? undefined : this.at(key, watermark);
      if (version !== undefined) yield version;
    }
  }

  /** What a reader at `watermark` sees here above `afterSeq`, in `_seq` order; found while it is read. */
  *above(afterSeq: bigint, watermark: bigint): Generator<RowVersion, undefined> {
    const versions = this.#versions;
    let low = this.#head;
    let high = versions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((versions[middle]?.seq ?? 0n) > afterSeq) high = middle;
      else low = middle + 1;
    }
    for (let index = low; index < versions.length; index++) {
      const version = versions[index];
      if (version === undefined || version.seq > watermark) return;
      if (this.at(version.key, watermark) === version) yield version;
    }
  }

  /** The keys that have a version here, and some that had, in key order. The array is shared: do not change it. */
  sortedKeys(): readonly RowKey[] {
    if (this.#newKeys.length === 0) return this.#sortedKeys;
    // A key that went and came again stands here twice.
    const added = this.#newKeys.sort((a, b) => (a < b ? -1 : 1)).filter((key, at, keys) => key !== keys[at - 1]);
    this.#newKeys = [];
    const last = this.#sortedKeys.at(-1);
    const first = added[0];
    if (last === undefined || (first !== undefined && first > last)) for (const key of added) this.#sortedKeys.push(key);
    else this.#sortedKeys = [...finishSteps(mergeKeys(this.#sortedKeys, added))];
    return this.#sortedKeys;
  }

  /** Takes over keys that {@link addApart} left out: ascending, all others included. */
  setSortedKeys(keys: readonly RowKey[]): void {
    this.#sortedKeys = [...keys];
  }

  add(version: RowVersion): void {
    if (this.addApart(version)) this.#newKeys.push(version.key);
  }

  /** Adds a version of a large commit, whose keys come sorted with {@link setSortedKeys}; whether its key is new here. */
  addApart(version: RowVersion): boolean {
    this.#versions.push(version);
    this.#versionCount += 1;
    const chain = this.#chains.get(version.key);
    if (chain === undefined) this.#chains.set(version.key, [version]);
    else chain.push(version);
    return chain === undefined;
  }

  /** Forgets one version: it has reached the hot tier, or its commit failed. */
  remove(key: RowKey, seq: bigint): void {
    const chain = this.#chains.get(key);
    const index = chain?.findIndex((version) => version.seq === seq) ?? -1;
    if (chain === undefined || index < 0) return;
    chain.splice(index, 1);
    if (chain.length === 0) this.#chains.delete(key);
    this.#versionCount -= 1;
    this.#advanceHead();
  }

  /** Whether what is gone takes more places than it should, or many keys wait to be sorted: {@link tidy} is due. */
  get isUntidy(): boolean {
    return (
      this.#versions.length - this.#head > this.#versionCount * 2 + STALE_MAX ||
      this.#sortedKeys.length > this.#chains.size * 2 + STALE_MAX ||
      (this.#newKeys.length > STALE_MAX && this.#newKeys.length * 4 > this.#sortedKeys.length)
    );
  }

  /** Gives back the places of what is gone and sorts the keys that came, in short steps; others read and write between them. */
  *tidy(): Steps<void> {
    yield* this.#tidyVersions();
    yield* this.#tidyKeys();
  }

  #advanceHead(): void {
    const versions = this.#versions;
    for (let head = versions[this.#head]; head !== undefined && !this.#holds(head); head = versions[this.#head]) this.#head += 1;
    if (this.#head > STALE_MAX && this.#head * 2 > versions.length) {
      this.#versions = versions.slice(this.#head);
      this.#head = 0;
    }
  }

  *#tidyVersions(): Steps<void> {
    const versions = this.#versions;
    const kept: RowVersion[] = [];
    // What is added meanwhile stands at the end, and is looked at too.
    for (let index = this.#head; index < versions.length; index++) {
      const version = versions[index];
      if (version !== undefined && this.#holds(version)) kept.push(version);
      if (index % STEP_VERSIONS === 0) yield;
    }
    if (this.#versions !== versions) return;
    this.#versions = kept;
    this.#head = 0;
  }

  *#tidyKeys(): Steps<void> {
    const base = this.#sortedKeys;
    const fresh = this.#newKeys;
    const count = fresh.length;
    const added = yield* sortKeys(fresh.slice(0, count));
    const keys: RowKey[] = [];
    for (const key of yield* mergeKeys(base, added)) {
      // One that went and came again stands there twice.
      if (key !== keys.at(-1) && this.#chains.has(key)) keys.push(key);
      if (keys.length % STEP_VERSIONS === 0) yield;
    }
    // A reader has sorted them meanwhile, or a large commit brought its own.
    if (this.#sortedKeys !== base || this.#newKeys !== fresh) return;
    this.#sortedKeys = keys;
    this.#newKeys = fresh.slice(count);
  }

  #holds(version: RowVersion): boolean {
    return this.#chains.get(version.key)?.includes(version) === true;
  }
}

/**
 * The ChangeSets in (A, newest turn]: what readers add to a hot snapshot, and what writers see of each other.
 * Owned by the sequencer; readers only look.
 */
export class Overlay {
  readonly #partitions = new Map<string, PartitionOverlay>();
  readonly #untidy = new Set<PartitionOverlay>();

  partition(partition: PartitionId): PartitionOverlay | undefined {
    return this.#partitions.get(partitionName(partition));
  }

  /** The owners of partitions of a table that have versions here. */
  owners(tableId: number): readonly string[] {
    const start = `${tableId}/`;
    return [...this.#partitions.keys()].flatMap((name) => (name.startsWith(start) ? [name.slice(start.length)] : []));
  }

  add(change: ChangeSet): void {
    for (const part of change.parts) {
      const overlay = this.partitionFor(part.partition);
      for (const row of part.rows) overlay.add(row);
      if (overlay.isUntidy) this.#untidy.add(overlay);
    }
  }

  /** A partition that has become untidy since it was taken last; whoever takes it tidies it. */
  takeUntidy(): PartitionOverlay | undefined {
    const [overlay] = this.#untidy;
    if (overlay !== undefined) this.#untidy.delete(overlay);
    return overlay;
  }

  /** The overlay of a partition, made if there is none; it may be another one later. */
  partitionFor(partition: PartitionId): PartitionOverlay {
    const name = partitionName(partition);
    let overlay = this.#partitions.get(name);
    if (overlay === undefined) {
      overlay = new PartitionOverlay();
      this.#partitions.set(name, overlay);
    }
    return overlay;
  }

  remove(change: ChangeSet): void {
    for (const part of change.parts) this.removePart(part);
  }

  /** Forgets what a commit wrote into one partition; what is not here any more is passed over. */
  removePart(part: PartitionChanges): void {
    const name = partitionName(part.partition);
    const overlay = this.#partitions.get(name);
    if (overlay === undefined) return;
    for (const row of part.rows) overlay.remove(row.key, row.seq);
    if (overlay.isUntidy) this.#untidy.add(overlay);
    if (!overlay.isEmpty) return;
    this.#partitions.delete(name);
    this.#untidy.delete(overlay);
  }

  /** {@link remove} in short steps. */
  *removeInSteps(change: ChangeSet): Steps<void> {
    for (const part of change.parts) yield* this.removePartInSteps(part);
  }

  /** {@link removePart} in short steps. */
  *removePartInSteps({ partition, rows }: PartitionChanges): Steps<void> {
    for (let from = 0; from < rows.length; from += STEP_VERSIONS) {
      this.removePart({ partition, rows: rows.length <= STEP_VERSIONS ? rows : rows.slice(from, from + STEP_VERSIONS) });
      yield;
    }
  }
}
