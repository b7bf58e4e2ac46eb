import type { Clock } from '@kalamdb/protocol';
import type { KeyRange, PartitionId, RowKey } from '@kalamdb/storage';
import type { PartitionChanges, RowVersion } from '../contract.ts';
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

  constructor(clock: Clock, startSeq: bigint, bytesMax: number = STREAM_BYTES_MAX) {
    this.#clock = clock;
    this.#startSeq = startSeq;
    this.#bytesMax = bytesMax;
  }

  /** Approximate heap weight of everything here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes over what a commit did to one stream partition; called when the watermark passes the commit. */
  apply({ layout, part, rowBytes }: StreamPart): void {
    const partition = this.#partitionOf(layout, part.partition);
    const atMillis = this.#clock.elapsed();
    for (const [index, row] of part.rows.entries()) {
      this.#remove(partition, row.key);
      if (row.deleted) partition.forgottenSeq = row.seq;
      else this.#add(partition, { version: row, atMillis, bytes: rowBytes[index] ?? 0 });
    }
    while (partition.events.size > partition.eventsMax) this.#forgetOldest(partition);
    this.#shrink();
  }

  /** The highest `_seq` of which a partition has forgotten something: a reader that stands below it may have missed events. */
  horizon(partition: PartitionId): bigint {
    const found = this.#partitions.get(partitionName(partition));
    // What has expired is not seen any more, so it counts as forgotten before its turn to be evicted comes.
    if (found !== undefined) this.#forgetExpired(found);
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
        .filter((event) => event.version.seq <= watermark && !this.#expired(found, event))
        .map((event) => event.version);
    };
    return {
      get: (key) => {
        const version = this.get(partition, key);
        return version === undefined || version.seq > watermark ? undefined : version;
      },
      scan: (range) => inKeyOrder(visible(), range ?? {}),
      scanBySeq: (afterSeq) => visible().filter((version) => version.seq > afterSeq),
    };
  }

  /** Forgets expired events; to be called at least once a second so that memory follows the TTL. */
  evictExpired(): void {
    for (const [name, partition] of this.#partitions) {
      this.#forgetExpired(partition);
      if (partition.events.size > 0) continue;
      this.#removePartition(name, partition);
      const emptied = this.#emptied.get(partition.tableId) ?? 0n;
      if (partition.forgottenSeq > emptied) this.#emptied.set(partition.tableId, partition.forgottenSeq);
    }
  }

  /** Forgets a dropped table. */
  drop(tableId: number): void {
    for (const [name, partition] of this.#partitions) if (partition.tableId === tableId) this.#removePartition(name, partition);
    this.#emptied.delete(tableId);
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

  #forgetExpired(partition: StreamPartition): void {
    for (const event of partition.events.values()) {
      if (!this.#expired(partition, event)) return;
      this.#forgetOldest(partition);
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
  #shrink(): void {
    while (this.#bytes > this.#bytesMax) {
      const largest = this.#largest();
      const half = (largest?.bytes ?? 0) / 2;
      if (largest === undefined || !this.#forgetOldest(largest)) return;
      while (this.#bytes > this.#bytesMax && largest.bytes > half) if (!this.#forgetOldest(largest)) break;
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

function inKeyOrder(versions: readonly RowVersion[], range: KeyRange): RowVersion[] {
  const found = versions
    .filter(({ key }) => (range.from === undefined || key >= range.from) && (range.before === undefined || key < range.before))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  return range.reverse === true ? found.reverse() : found;
}
