import { kalamError, type Row, type SnowflakeSequence } from '@kalamdb/protocol';
import {
  type CommitRow,
  entryBytesMax,
  type HotSnapshot,
  type HotStore,
  type Manifest,
  ownerBytesMax,
  type PartitionId,
  type RowKey,
} from '@kalamdb/storage';
import type { ChangeSet, PartitionChanges, RowChange, RowVersion } from '../contract.ts';
import { ColdRowsNeeded, type LookedUp } from '../partition/cold-rows.ts';
import type { ManifestSource } from '../partition/manifest-source.ts';
import { type Overlay, partitionName } from '../partition/overlay.ts';
import { decodeStored } from '../partition/partition-view.ts';
import type { RowCache } from '../partition/row-cache.ts';
import type { RowLayout } from '../partition/row-layout.ts';
import type { StreamPart, StreamStore } from '../partition/stream-store.ts';
import { SteadyMap } from '../slices/steady-map.ts';
import type { Steps } from '../slices/steps.ts';

/** Rows that one commit may hold. */
export const COMMIT_ROWS_MAX = 100_000;
/** Encoded bytes that one commit may hold, its keys and heads included: a log record less room for its own head and a reservation. */
export const COMMIT_BYTES_MAX: number = entryBytesMax - 4096;
/** Encoded bytes that one row may hold. */
export const ROW_BYTES_MAX: number = 4 * 1024 * 1024;

/** A row to be written. Without `key` the layout makes it from the cells. */
export interface DraftWrite {
  readonly key?: RowKey | undefined;
  readonly cells: Row;
  /** A tombstone; it keeps the cells of the row it ends. */
  readonly deleted?: boolean | undefined;
  /** It takes the place of whatever holds its key: somebody else's row under it is no duplicate, but a change. */
  readonly upsert?: boolean | undefined;
  /** The encoded cells, when the layout's codec has made them already. */
  readonly bytes?: Uint8Array | undefined;
  /** The sequencer's own row: it does not count towards the bounds of a commit. */
  readonly uncounted?: boolean | undefined;
}

/** One change with the bytes that log and hot tier will hold. */
export interface EncodedChange {
  readonly layout: RowLayout;
  readonly change: RowChange;
  readonly bytes: Uint8Array;
}

/** A change as the log holds it. */
export function commitRow({ change, bytes }: EncodedChange): CommitRow {
  const { key, seq, createdSeq, deleted, previous, masks } = change;
  return { key, seq, createdSeq, deleted, bytes, masks, replacedSeq: previous?.seq ?? 0n };
}

/** What a draft became: the ChangeSet, and the encoded rows of the parts that are not streams. */
export interface DraftedCommit {
  readonly change: ChangeSet;
  readonly durable: readonly { readonly partition: PartitionId; readonly rows: readonly EncodedChange[] }[];
  readonly streams: readonly StreamPart[];
}

/** What a draft reads and writes through; the sequencer's own. */
export interface DraftSources {
  readonly overlay: Overlay;
  readonly hot: HotStore;
  readonly streams: StreamStore;
  readonly cache: RowCache;
  /** The watermark now. */
  readonly watermark: bigint;
  readonly sequence: Pick<SnowflakeSequence, 'next'>;
  /** Numbers rows of tables without a key; absent: their `_seq` does. */
  readonly keys?: Pick<SnowflakeSequence, 'next'> | undefined;
  readonly nowMicros: bigint;
  /** Absent: there is no cold tier. */
  readonly manifests?: ManifestSource | undefined;
  /** What was looked up in the cold tier for this turn. */
  readonly cold?: LookedUp | undefined;
}

interface DraftPart {
  readonly partition: PartitionId;
  readonly layout: RowLayout;
  readonly newest: SteadyMap<RowKey, RowChange>;
  readonly rows: EncodedChange[];
}

/** Changes that one step gathers. */
const STEP_CHANGES = 1024;
/** Rough heap weight of a decoded row beside its encoded bytes. */
const ROW_OVERHEAD_BYTES = 200;
/** What an encoded commit holds of a row beside its key and cells, and of a partition beside its rows, at most. */
const ROW_HEAD_BYTES_MAX = 39;
const PART_HEAD_BYTES_MAX: number = 10 + ownerBytesMax;

/**
 * The writes of one turn. It sees every commit that took its turn before, durable or not, and its own writes.
 * Valid inside the turn only; nothing it was told happens if the turn throws.
 */
export class Draft {
  /** Time of the commit, microseconds since the epoch. */
  readonly nowMicros: bigint;
  readonly #sources: DraftSources;
  /** The part of the first write: most drafts have no other. */
  #firstPart: DraftPart | undefined;
  /** All parts by the names of their partitions, once there are several. */
  #parts: Map<string, DraftPart> | undefined;
  /** The part of the last write. */
  #lastPart: DraftPart | undefined;
  #rows = 0;
  #bytes = 0;
  #lastSeq = 0n;
  #snapshot: HotSnapshot | undefined;
  /** What was found last outside of the draft: a writer looks before it puts, and `put` needs the same row again. */
  #lastLookup: { readonly partition: PartitionId; readonly key: RowKey; readonly found: RowVersion | undefined } | undefined;

  /** The manifest that was asked for last: until the draft lets go of what it reads, or writes. */
  #lastManifest: { readonly partition: PartitionId; readonly manifest: Manifest | undefined } | undefined;

  constructor(sources: DraftSources) {
    this.#sources = sources;
    this.nowMicros = sources.nowMicros;
  }

  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  /** `_seq` of the newest row written here; 0n when there is none. */
  get lastSeq(): bigint {
    return this.#lastSeq;
  }

  /** Whether a STREAM table was written. */
  get writesStreams(): boolean {
    return this.#allParts().some(({ layout }) => layout.kind === 'stream');
  }

  /** The newest version of a row, tombstones included. */
  latest(layout: RowLayout, partition: PartitionId, key: RowKey): RowVersion | undefined {
    const own = this.#findPart(partition)?.newest.get(key);
    if (own !== undefined) return own;
    const last = this.#lastLookup;
    if (last !== undefined && last.key === key && last.partition === partition) return last.found;
    const found = this.#found(layout, partition, key);
    this.#lastLookup = { partition, key, found };
    return found;
  }

  /** What the cold tier holds of a partition after every commit that took its turn before. */
  manifest(partition: PartitionId): Manifest | undefined {
    const { manifests } = this.#sources;
    if (manifests?.mayHave(partition) !== true) return undefined;
    const last = this.#lastManifest;
    if (last !== undefined && isSamePartition(last.partition, partition)) return last.manifest;
    const row = this.latest(manifests.layout, manifests.partition, manifests.keyOf(partition));
    const manifest = row === undefined ? undefined : manifests.read(row);
    this.#lastManifest = { partition, manifest };
    return manifest;
  }

  #found(layout: RowLayout, partition: PartitionId, key: RowKey): RowVersion | undefined {
    const hot = this.#committed(layout, partition, key);
    const manifest = this.manifest(partition);
    if (manifest === undefined || (hot !== undefined && hot.seq > manifest.flushedSeq)) return hot;
    if (this.#sources.cold === undefined) throw new ColdRowsNeeded();
    return this.#sources.cold.find(partition, manifest, key);
  }

  #committed(layout: RowLayout, partition: PartitionId, key: RowKey): RowVersion | undefined {
    const recent = this.#sources.overlay.partition(partition)?.newest(key);
    if (recent !== undefined && recent.seq >= layout.sinceSeq) return recent;
    if (layout.kind === 'stream') return this.#sources.streams.get(partition, key);
    const cached = this.#sources.cache.get(partition, key, this.#sources.watermark);
    if (cached !== undefined) return cached === 'absent' ? undefined : cached;
    this.#snapshot ??= this.#sources.hot.snapshot();
    const stored = this.#snapshot.get(partition, key);
    return stored === undefined ? undefined : decodeStored(layout, stored);
  }

  /**
   * Writes a version and gives it its `_seq`. Throws COMMIT_TOO_LARGE, ROW_TOO_LARGE.
   * The row's life goes on (`createdSeq`) from the version it replaces, a tombstone too.
   */
  put(layout: RowLayout, partition: PartitionId, write: DraftWrite): RowChange {
    const seq = this.#sources.sequence.next();
    const key = write.key ?? layout.keyOf(write.cells, this.#sources.keys?.next() ?? seq);
    const previous = this.latest(layout, partition, key);
    const bytes = write.bytes ?? layout.codec.encode(write.cells);
    if (write.uncounted !== true) this.#measure(bytes.byteLength, key.length + ROW_HEAD_BYTES_MAX);
    const change: RowChange = {
      key,
      seq,
      createdSeq: previous?.createdSeq ?? seq,
      deleted: write.deleted ?? false,
      cells: write.cells,
      masks: previous?.masks,
      previous: previous === undefined ? undefined : versionAlone(previous),
    };
    if (layout === this.#sources.manifests?.layout) this.#lastManifest = undefined;
    const part = this.#partOf(layout, partition);
    part.newest.set(key, change);
    part.rows.push({ layout, change, bytes });
    this.#lastSeq = seq;
    return change;
  }

  /** Ends the turn: what was written as one commit, or `undefined` when nothing was. */
  finish(): DraftedCommit | undefined {
    this.release();
    if (this.isEmpty) return undefined;
    const parts = this.#allParts();
    return this.#drafted(
      parts,
      parts.map(({ partition, rows }) => ({ partition, rows: rows.map((row) => row.change) })),
    );
  }

  /** {@link finish} in short steps. */
  *finishInSteps(): Steps<DraftedCommit | undefined> {
    this.release();
    if (this.isEmpty) return undefined;
    const parts = this.#allParts();
    const changed: PartitionChanges[] = [];
    for (const { partition, rows } of parts) {
      const changes: RowChange[] = [];
      for (const { change } of rows) if (changes.push(change) % STEP_CHANGES === 0) yield;
      changed.push({ partition, rows: changes });
    }
    return this.#drafted(parts, changed);
  }

  #drafted(parts: readonly DraftPart[], changed: readonly PartitionChanges[]): DraftedCommit {
    const change: ChangeSet = { seq: this.#lastSeq, parts: changed, bytes: this.#bytes + this.#rows * ROW_OVERHEAD_BYTES };
    if (!this.writesStreams) return { change, durable: parts, streams: NO_STREAMS };
    const durable = parts.filter(({ layout }) => layout.kind !== 'stream');
    return { change, durable, streams: parts.flatMap((part, index) => streamPart(part, changed[index])) };
  }

  /** Lets go of what the draft reads through; called on every way out of a turn. */
  release(): void {
    this.#snapshot?.close();
    this.#snapshot = undefined;
    this.#lastManifest = undefined;
  }

  #findPart(partition: PartitionId): DraftPart | undefined {
    const last = this.#lastPart;
    if (last === undefined || isSamePartition(last.partition, partition)) return last;
    return this.#parts?.get(partitionName(partition));
  }

  #partOf(layout: RowLayout, partition: PartitionId): DraftPart {
    let part = this.#findPart(partition);
    if (part === undefined) {
      part = { partition, layout, newest: new SteadyMap(), rows: [] };
      this.#addPart(part);
      this.#bytes += PART_HEAD_BYTES_MAX;
    }
    this.#lastPart = part;
    return part;
  }

  #addPart(part: DraftPart): void {
    const first = this.#firstPart;
    if (first === undefined) {
      this.#firstPart = part;
      return;
    }
    this.#parts ??= new Map([[partitionName(first.partition), first]]);
    this.#parts.set(partitionName(part.partition), part);
  }

  /** In the order of their first writes. */
  #allParts(): readonly DraftPart[] {
    if (this.#parts !== undefined) return [...this.#parts.values()];
    return this.#firstPart === undefined ? [] : [this.#firstPart];
  }

  #measure(rowBytes: number, headBytes: number): void {
    if (rowBytes > ROW_BYTES_MAX) throw kalamError('ROW_TOO_LARGE', { bytes: rowBytes, bytesMax: ROW_BYTES_MAX });
    this.#rows += 1;
    this.#bytes += rowBytes + headBytes;
    if (this.#rows > COMMIT_ROWS_MAX) throw kalamError('COMMIT_TOO_LARGE', { size: `${this.#rows} rows`, max: `${COMMIT_ROWS_MAX} rows` });
    if (this.#bytes > COMMIT_BYTES_MAX)
      throw kalamError('COMMIT_TOO_LARGE', { size: `${this.#bytes} bytes`, max: `${COMMIT_BYTES_MAX} bytes` });
  }
}

const NO_STREAMS: readonly StreamPart[] = [];

function streamPart({ layout, rows }: DraftPart, part: PartitionChanges | undefined): readonly StreamPart[] {
  if (part === undefined || layout.kind !== 'stream') return [];
  return [{ layout, part, rowBytes: rows.map(({ bytes }) => bytes.byteLength + ROW_OVERHEAD_BYTES) }];
}

function isSamePartition(a: PartitionId, b: PartitionId): boolean {
  return a === b || (a.tableId === b.tableId && a.owner === b.owner);
}

/** A version without what it replaced: a change that held another change would keep the whole history of its row alive. */
function versionAlone({ key, seq, createdSeq, deleted, cells, masks }: RowVersion): RowVersion {
  return { key, seq, createdSeq, deleted, cells, masks };
}
