import type { Clock } from '@kalamdb/protocol';
import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import type { PartitionChanges, RowVersion } from '../contract.ts';
import { finishSteps, STEP_ROWS, type Steps } from '../slices/steps.ts';
import { partitionName } from './overlay.ts';
import type { PartitionView } from './partition-view.ts';
import type { RowLayout } from './row-layout.ts';

/** Events that one partition of a stream keeps when the table names no `max_buffer`. */
export const STREAM_EVENTS_MAX = 100_000;
/** Approximate heap weight of the events of all streams; above it the partition that holds most forgets its oldest ones. */
export const STREAM_BYTES_MAX: number = 256 * 1024 * 1024;
/** Approximate heap weight of a partition beside its events. */
const PARTITION_BYTES = 500;

/** What a commit writes into one partition of a stream. */
export interface StreamPart {
  readonly layout: RowLayout;
  readonly part: PartitionChanges;
  /** Approximate heap weight of each row. */
  readonly rowBytes: readonly number[];
}

interface StreamEvent {
  readonly version: RowVersion;
  /**
   * When the event was committed, as elapsed time: TTL uses neither `_seq`, which may run ahead of the clock, nor the wall clock, which may be
   * set. So events expire in the order of their `_seq`.
   */
  readonly atMillis: number;
  readonly bytes: number;
  /** The commit that deletes it; it is forgotten when the watermark has passed that. */
  endedSeq: bigint | undefined;
}

interface StreamPartition {
  readonly tableId: number;
  readonly ttlMillis: number;
  readonly eventsMax: number;
  /** In `_seq` order, for a Map keeps the order of insertion. */
  readonly events: Map<RowKey, StreamEvent>;
  bytes: number;
  /** The highest `_seq` that was here and is not any more. */
  forgottenSeq: bigint;
}

/**
 * The rows of STREAM tables: in memory, gone at restart, bounded by age and number per partition and by bytes altogether.
 * Whoever still wanted an event that a bound took away learns it from the horizon.
 */
export class StreamStore {
  readonly #clock: Clock;
  readonly #partitions = new Map<string, StreamPartition>();
  /** Table id -> the highest `_seq` forgotten by its partitions that are empty and gone. */
  readonly #emptied = new Map<number, bigint>();
  /** Everything up to here was forgotten by the restart. */
  readonly #startSeq: bigint;
  readonly #bytesMax: number;
  #bytes = 0;
  /** Table id -> events that have expired and were forgotten since {@link takeEvicted}. */
  readonly #evicted = new Map<number, number>();

  constructor(clock: Clock, startSeq: bigint, bytesMax: number = STREAM_BYTES_MAX) {
    this.#clock = clock;
    this.#startSeq = startSeq;
    this.#bytesMax = bytesMax;
  }

  /** Approximate heap weight of everything here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Partitions, events and their approximate heap weight of one table; of one owner when named. */
  tableFigures(
    tableId: number,
    owner: string | undefined,
  ): { readonly partitions: number; readonly events: number; readonly bytes: number } {
    const named = owner === undefined ? undefined : partitionName({ tableId, owner });
    let partitions = 0;
    let events = 0;
    let bytes = 0;
    for (const [name, partition] of this.#partitions) {
      if (partition.tableId !== tableId || (named !== undefined && name !== named)) continue;
      partitions += 1;
      events += partition.events.size;
      bytes += partition.bytes;
    }
    return { partitions, events, bytes };
  }

  /** Takes over what a commit did to one stream partition: {@link add}, then {@link settle}. */
  apply(written: StreamPart): void {
    finishSteps(this.add(written));
    finishSteps(this.settle(written));
  }

  /** Takes in what a commit writes, before the watermark passes it: until then no view sees it. */
  *add({ layout, part, rowBytes }: StreamPart): Steps<void> {
    const atMillis = this.#clock.elapsed();
    for (let from = 0; from < part.rows.length; from += STEP_ROWS) {
      // An empty partition may go between two steps.
      const partition = this.#partitionOf(layout, part.partition);
      for (let index = from; index < Math.min(from + STEP_ROWS, part.rows.length); index++) {
        const row = part.rows[index];
        if (row === undefined) continue;
        const event = partition.events.get(row.key);
        if (row.deleted && event !== undefined) event.endedSeq = row.seq;
        if (row.deleted) continue;
        this.#remove(partition, row.key);
        this.#add(partition, { version: row, atMillis, bytes: rowBytes[index] ?? 0, endedSeq: undefined });
      }
      yield;
    }
  }

  /** Forgets what a commit has deleted, and what the bounds take away; begun in the turn in which the watermark passes the commit. */
  *settle({ layout, part }: StreamPart): Steps<void> {
    const newest = part.rows.findLast(({ deleted }) => deleted);
    if (newest !== undefined) this.#partitionOf(layout, part.partition).forgottenSeq = newest.seq;
    for (const [index, row] of part.rows.entries()) {
      const partition = row.deleted ? this.#partitions.get(partitionName(part.partition)) : undefined;
      // It may have been written again after it.
      if (partition?.events.get(row.key)?.endedSeq === row.seq) this.#remove(partition, row.key);
      if (index % STEP_ROWS === STEP_ROWS - 1) yield;
    }
    const partition = this.#partitionOf(layout, part.partition);
    while (partition.events.size > partition.eventsMax) {
      this.#forgetOldest(partition);
      if (partition.events.size % STEP_ROWS === 0) yield;
    }
    yield* this.#shrink();
  }

  /** The highest `_seq` of which a partition has forgotten something: a reader that stands below it may have missed events. */
  horizon(partition: PartitionId): bigint {
    const found = this.#partitions.get(partitionName(partition));
    // What has expired is not seen any more, so it counts as forgotten before its turn to be evicted comes.
    if (found !== undefined) finishSteps(this.#forgettingExpired(found));
    const own = found?.forgottenSeq ?? 0n;
    const emptied = this.#emptied.get(partition.tableId) ?? 0n;
    return [own, emptied, this.#startSeq].reduce((a, b) => (a > b ? a : b));
  }

  /** The newest visible event under a key, for writers. */
  get(partition: PartitionId, key: RowKey): RowVersion | undefined {
    const found = this.#partitions.get(partitionName(partition));
    const event = found?.events.get(key);
    return found === undefined || event === undefined || this.#expired(found, event) ? undefined : event.version;
  }

  /** The events that a reader at `watermark` sees now; events expire under an open view. */
  view(partition: PartitionId, watermark: bigint): PartitionView {
    const visible = (): RowVersion[] => {
      const found = this.#partitions.get(partitionName(partition));
      if (found === undefined) return [];
      return [...found.events.values()]
        .filter((event) => isSeen(event, watermark) && !this.#expired(found, event))
        .map((event) => event.version);
    };
    return {
      get: (key) => {
        const event = this.#partitions.get(partitionName(partition))?.events.get(key);
        return event !== undefined && isSeen(event, watermark) ? this.get(partition, key) : undefined;
      },
      scan: (range) => inKeyOrder(visible(), range ?? {}),
      scanBySeq: (afterSeq) => visible().filter((version) => version.seq > afterSeq),
    };
  }

  /** How many expired events of each table were forgotten since the last call. */
  takeEvicted(): ReadonlyMap<number, number> {
    const evicted = new Map(this.#evicted);
    this.#evicted.clear();
    return evicted;
  }

  /** {@link evictInSteps} at once. */
  evictExpired(): void {
    finishSteps(this.evictInSteps());
  }

  /** Forgets expired events, in short steps; to be called at least once a second so that memory follows the TTL. */
  *evictInSteps(): Steps<void> {
    for (const [name, partition] of this.#partitions) {
      yield* this.#forgettingExpired(partition);
      yield;
      if (partition.events.size > 0 || this.#partitions.get(name) !== partition) continue;
      this.#removePartition(name, partition);
      const emptied = this.#emptied.get(partition.tableId) ?? 0n;
      if (partition.forgottenSeq > emptied) this.#emptied.set(partition.tableId, partition.forgottenSeq);
    }
  }

  /** Forgets a dropped table. */
  drop(tableId: number): void {
    for (const [name, partition] of this.#partitions) if (partition.tableId === tableId) this.#removePartition(name, partition);
    this.#emptied.delete(tableId);
    this.#evicted.delete(tableId);
  }

  #partitionOf(layout: RowLayout, id: PartitionId): StreamPartition {
    const name = partitionName(id);
    let partition = this.#partitions.get(name);
    if (partition === undefined) {
      const { ttlSeconds, maxBuffer } = layout.options;
      partition = {
        tableId: layout.id,
        ttlMillis: (ttlSeconds ?? Number.POSITIVE_INFINITY) * 1000,
        eventsMax: maxBuffer ?? STREAM_EVENTS_MAX,
        events: new Map(),
        bytes: PARTITION_BYTES,
        forgottenSeq: 0n,
      };
      this.#partitions.set(name, partition);
      this.#bytes += PARTITION_BYTES;
    }
    return partition;
  }

  #removePartition(name: string, partition: StreamPartition): void {
    this.#partitions.delete(name);
    this.#bytes -= partition.bytes;
  }

  #add(partition: StreamPartition, event: StreamEvent): void {
    partition.events.set(event.version.key, event);
    partition.bytes += event.bytes;
    this.#bytes += event.bytes;
  }

  #remove(partition: StreamPartition, key: RowKey): void {
    const event = partition.events.get(key);
    if (event === undefined) return;
    partition.events.delete(key);
    partition.bytes -= event.bytes;
    this.#bytes -= event.bytes;
  }

  *#forgettingExpired(partition: StreamPartition): Steps<void> {
    for (const event of partition.events.values()) {
      if (!this.#expired(partition, event)) return;
      this.#forgetOldest(partition);
      this.#evicted.set(partition.tableId, (this.#evicted.get(partition.tableId) ?? 0) + 1);
      if (partition.events.size % STEP_ROWS === 0) yield;
    }
  }

  /** Forgets one event and moves the horizon; `false` when there is none. */
  #forgetOldest(partition: StreamPartition): boolean {
    const [oldest] = partition.events.values();
    if (oldest === undefined) return false;
    this.#remove(partition, oldest.version.key);
    if (oldest.version.seq > partition.forgottenSeq) partition.forgottenSeq = oldest.version.seq;
    return true;
  }

  /** Takes from the partition that holds most, at most half before another look at which that is. */
  *#shrink(): Steps<void> {
    while (this.#bytes > this.#bytesMax) {
      const largest = this.#largest();
      const half = (largest?.bytes ?? 0) / 2;
      if (largest === undefined || !this.#forgetOldest(largest)) return;
      while (this.#bytes > this.#bytesMax && largest.bytes > half && this.#forgetOldest(largest)) {
        if (largest.events.size % STEP_ROWS === 0) yield;
      }
    }
  }

  #largest(): StreamPartition | undefined {
    let largest: StreamPartition | undefined;
    for (const partition of this.#partitions.values()) if (partition.bytes > (largest?.bytes ?? 0)) largest = partition;
    return largest;
  }

  #expired(partition: StreamPartition, event: StreamEvent): boolean {
    return event.atMillis + partition.ttlMillis <= this.#clock.elapsed();
  }
}

const isSeen = ({ version, endedSeq }: StreamEvent, watermark: bigint): boolean =>
  version.seq <= watermark && (endedSeq === undefined || endedSeq > watermark);

function inKeyOrder(versions: readonly RowVersion[], range: KeyRange): RowVersion[] {
  const found = versions
    .filter(({ key }) => (range.from === undefined || key >= range.from) && (range.before === undefined || key < range.before))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  return range.reverse === true ? found.reverse() : found;
}
