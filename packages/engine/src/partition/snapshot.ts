import { kalamError } from '@kalamdb/protocol';
import type { HotSnapshot, HotStore, Manifest, PartitionId } from '@kalamdb/storage';
import type { RowVersion } from '../contract.ts';
import type { ManifestSource } from './manifest-source.ts';
import type { Overlay } from './overlay.ts';
import { MergedView, type PartitionView } from './partition-view.ts';
import type { RowCache } from './row-cache.ts';
import { type RowLayout, StaleLayout } from './row-layout.ts';
import type { StreamStore } from './stream-store.ts';

/** Everything as it was at one watermark. Whoever opens one closes it, on every path. */
export interface Snapshot {
  /** The watermark: every commit up to this name is visible, none above it. */
  readonly seq: bigint;
  /** Throws CONFLICT when the layout is younger than the snapshot, {@link StaleLayout} when it is one from before it, SNAPSHOT_TOO_OLD. */
  view(layout: RowLayout, partition: PartitionId): PartitionView;
  /** What the cold tier holds of a partition. */
  manifest(partition: PartitionId): Manifest | undefined;
  /** The owners of a table who have rows in the hot tier, or had some that are not gone from there yet; in no order. */
  owners(tableId: number): ReadonlySet<string>;
  /**
   * The newest visible versions above `afterSeq` in no order: what a reader lacks that has a hot view of its own at
   * `afterSeq`, which must not be below the applied point of the oldest open snapshot.
   */
  recent(partition: PartitionId, afterSeq: bigint): Iterable<RowVersion>;
  close(): void;
}

/** What a snapshot reads from. */
export interface SnapshotSources {
  readonly hot: HotStore;
  readonly overlay: Overlay;
  readonly streams: StreamStore;
  readonly cache: RowCache;
  /** Absent: there is no cold tier. */
  readonly manifests?: ManifestSource | undefined;
  /** The watermark now. */
  watermark(): bigint;
}

interface OpenSnapshot {
  readonly appliedSeq: bigint;
  readonly seq: bigint;
  /** The overlay forgets what it needs: it must not be read any more. */
  expired: boolean;
}

/** Where a snapshot counts. */
interface Tokens {
  readonly open: Set<OpenSnapshot>;
  /** Those who read files of the cold tier only. */
  readonly kept: Set<{ readonly seq: bigint }>;
}

/** Opens snapshots and knows the oldest applied point that an open one still reads at. */
export class SnapshotSource {
  readonly #sources: SnapshotSources;
  /** One entry per open snapshot; several may share one hot snapshot. */
  readonly #open = new Set<OpenSnapshot>();
  readonly #kept = new Set<{ readonly seq: bigint }>();
  #stopped = false;

  constructor(sources: SnapshotSources) {
    this.#sources = sources;
  }

  /** From now on {@link open} refuses with SHUTTING_DOWN. */
  stop(): void {
    this.#stopped = true;
  }

  /** A view at the present watermark. */
  open(): Snapshot {
    if (this.#stopped) throw kalamError('SHUTTING_DOWN');
    return new WatermarkSnapshot(this.#sources, { open: this.#open, kept: this.#kept });
  }

  /** Runs `work` on a snapshot that is closed afterwards. `work` must not keep the snapshot. */
  read<T>(work: (snapshot: Snapshot) => T): T {
    const snapshot = this.open();
    try {
      return work(snapshot);
    } finally {
      snapshot.close();
    }
  }

  /** Ends the snapshots that stand behind the hot tier, so that the overlay need not keep what they read; their next read throws SNAPSHOT_TOO_OLD. */
  expireBehind(): void {
    const { appliedSeq } = this.#sources.hot;
    for (const token of this.#open) {
      if (token.appliedSeq >= appliedSeq) continue;
      token.expired = true;
      this.#open.delete(token);
      // Whoever holds it may be on the way to files that it has named.
      this.#kept.add(token);
    }
  }

  /**
   * Keeps the files of the cold tier that are read at the present watermark or later, as an open snapshot does but without keeping anything of the
   * hot tier; returns what ends that.
   */
  keepFiles(): () => void {
    const kept = { seq: this.#sources.watermark() };
    this.#kept.add(kept);
    return () => this.#kept.delete(kept);
  }

  /** The oldest watermark at which files may be read: that of a snapshot, or of {@link keepFiles}; `undefined` when there is none. */
  oldestSeq(): bigint | undefined {
    let oldest: bigint | undefined;
    for (const { seq } of [...this.#open, ...this.#kept]) if (oldest === undefined || seq < oldest) oldest = seq;
    return oldest;
  }

  /** ChangeSets above this point may still be read through an open snapshot. */
  oldestAppliedSeq(): bigint {
    let oldest = this.#sources.hot.appliedSeq;
    for (const { appliedSeq } of this.#open) if (appliedSeq < oldest) oldest = appliedSeq;
    return oldest;
  }
}

class WatermarkSnapshot implements Snapshot {
  readonly seq: bigint;
  readonly #sources: SnapshotSources;
  readonly #tokens: Tokens;
  readonly #token: OpenSnapshot;
  readonly #hot: HotSnapshot;

  constructor(sources: SnapshotSources, tokens: Tokens) {
    const seq = sources.watermark();
    this.seq = seq;
    this.#sources = sources;
    this.#tokens = tokens;
    this.#hot = sources.hot.snapshot();
    this.#token = { appliedSeq: this.#hot.appliedSeq, seq, expired: false };
    tokens.open.add(this.#token);
  }

  view(layout: RowLayout, partition: PartitionId): PartitionView {
    this.#check();
    const { streams, cache } = this.#sources;
    if (layout.kind === 'stream') return streams.view(partition, this.seq);
    if (layout.sinceSeq > this.seq) throw kalamError('CONFLICT', { reason: 'a table was altered since the transaction began' });
    const laidOut = cache.laidOutSince(layout.id);
    if (laidOut > layout.sinceSeq && laidOut <= this.seq) throw new StaleLayout();
    return this.#merged(layout, partition, this.#manifest(partition));
  }

  manifest(partition: PartitionId): Manifest | undefined {
    this.#check();
    return this.#manifest(partition);
  }

  owners(tableId: number): ReadonlySet<string> {
    this.#check();
    return new Set([...this.#hot.owners(tableId), ...this.#sources.overlay.owners(tableId)]);
  }

  recent(partition: PartitionId, afterSeq: bigint): Iterable<RowVersion> {
    this.#check();
    return this.#sources.overlay.partition(partition)?.above(afterSeq, this.seq) ?? [];
  }

  close(): void {
    this.#tokens.open.delete(this.#token);
    this.#tokens.kept.delete(this.#token);
    this.#hot.close();
  }

  readonly #check = (): void => {
    if (this.#token.expired) throw kalamError('SNAPSHOT_TOO_OLD');
  };

  readonly #isNewest = (): boolean => this.#sources.watermark() === this.seq;

  #manifest(partition: PartitionId): Manifest | undefined {
    const { manifests } = this.#sources;
    if (manifests?.mayHave(partition) !== true) return undefined;
    const row = this.#merged(manifests.layout, manifests.partition, undefined).get(manifests.keyOf(partition));
    return row === undefined ? undefined : manifests.read(row);
  }

  #merged(layout: RowLayout, partition: PartitionId, manifest: Manifest | undefined): MergedView {
    const { overlay, cache } = this.#sources;
    return new MergedView({
      layout,
      partition,
      hot: this.#hot,
      overlay: overlay.partition(partition),
      watermark: this.seq,
      manifest,
      check: this.#check,
      cache,
      isNewest: this.#isNewest,
    });
  }
}
