import { type Clock, KalamError } from '@kalamdb/protocol';
import {
  type BloomCache,
  emptyManifest,
  encodeManifest,
  type FileSystem,
  type HotStore,
  type Manifest,
  type ObjectStore,
  type PartitionId,
  segmentNames,
} from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { Table } from '../catalog/table.ts';
import { partitionName } from '../partition/overlay.ts';
import type { Draft } from '../sequencer/draft.ts';
import type { LatchTable } from '../sequencer/latch-table.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { StoragePlace, StorageRegistry } from '../stores/storage-registry.ts';
import { ChangedKeys } from './changed-keys.ts';
import type { FlushedSegment, NewSegment } from './cold-messages.ts';
import type { ColdThread } from './cold-thread.ts';
import { applyFailure, diskFailure } from './disk-failure.ts';
import { writeManifestFile } from './manifest-file.ts';
import type { Manifests } from './manifests.ts';
import { NextManifest } from './next-manifest.ts';
import { maskSteps, TURN_KEYS_MAX } from './publication-steps.ts';
import { readFilter } from './read-filter.ts';
import { makeSegmentFolder } from './segment-folder.ts';
import { filterName, type Segments } from './segments.ts';

/** Rows of a segment. */
export const SEGMENT_ROWS_MAX = 65_536;
/** Bytes of encoded rows after which a segment takes no more. */
const SEGMENT_BYTES_MAX: number = 64 * 1024 * 1024;
/** Dead rows that one step removes from the hot tier, so that commits waiting for the applier are not held up. */
const PURGE_ROWS_MAX = 5000;

/** What a {@link Flusher} works with. */
export interface FlusherSources {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly latches: LatchTable;
  readonly hot: HotStore;
  readonly manifests: Manifests;
  readonly stores: StorageRegistry;
  readonly blooms: BloomCache;
  readonly segments: Segments;
  /** Of its own: encoding a segment takes long. */
  readonly thread: ColdThread;
  readonly clock: Clock;
  readonly files: FileSystem;
  /** Where segments are written before their storage has them; nothing else lies there. */
  readonly directory: string;
  readonly warn: (text: string, detail: object) => void;
  /** Rows of a segment, {@link SEGMENT_ROWS_MAX} unless given. */
  readonly segmentRowsMax?: number | undefined;
}

/** What flushes have come to. */
export interface FlushFigures {
  readonly rows: number;
  /** Segments. */
  readonly files: number;
}

/** What flushes have come to since the database was opened, for tests and metrics. */
export interface FlushCounts {
  segments: number;
  rows: number;
  /** Rows of new segments that had newer versions when they were published. */
  overtaken: number;
  /** Publications that had their turn; some may have failed after it. */
  turns: number;
  /** Publications that waited for a latch. */
  waited: number;
  /** Segments that were given up. */
  givenUp: number;
  /** Dead rows that were removed from the hot tier. */
  purged: number;
}

/** Somebody holds the partition, or has just changed much of it: the segment is published later. */
export class NotYet extends Error {}

/** The table was dropped while a segment of it was written. */
export class TableGone extends Error {}

/** Moves the oldest rows of partitions into segments. States and invariants: SPEC.md beside this file. */
export class Flusher {
  readonly counts: FlushCounts = { segments: 0, rows: 0, overtaken: 0, turns: 0, waited: 0, givenUp: 0, purged: 0 };
  readonly #sources: FlusherSources;
  /** What works on the segments of a partition, one after another. */
  readonly #busy = new Map<string, Promise<unknown>>();
  #lastFolder = 0;

  constructor(sources: FlusherSources) {
    this.#sources = sources;
  }

  /**
   * Moves the rows of a partition that were committed before the call. Rejects with what the storage answers, SEGMENT_WRITE_FAILED and what
   * the sequencer throws; what was published before stays.
   */
  flushPartition(partition: PartitionId, signal?: AbortSignal): Promise<FlushFigures> {
    return this.exclusively(partition, () => this.#flushPartition(partition, signal));
  }

  /** Runs work on the segments of a partition while nothing else changes them. */
  async exclusively<T>(partition: PartitionId, work: () => Promise<T>): Promise<T> {
    const name = partitionName(partition);
    const before = this.#busy.get(name) ?? Promise.resolve();
    const running = before.then(work, work);
    this.#busy.set(name, running);
    try {
      return await running;
    } finally {
      if (this.#busy.get(name) === running) this.#busy.delete(name);
    }
  }

  /** Whether something works on the segments of a partition. */
  isBusy(partition: PartitionId): boolean {
    return this.#busy.has(partitionName(partition));
  }

  /** Takes up what the last run has left: files that were never published, rows that a segment holds. */
  async recover(): Promise<void> {
    const { files, directory, manifests } = this.#sources;
    for (const name of await files.list(directory)) await this.clear(`${directory}/${name}`);
    for (const partition of [...manifests.partitions()]) {
      const { record, manifest } = this.read(partition);
      if (record?.pending !== undefined) await this.exclusively(partition, () => this.#sweep(partition));
      if (manifest !== undefined) await this.#purge(partition, manifest.flushedSeq);
    }
  }

  async #flushPartition(partition: PartitionId, signal: AbortSignal | undefined): Promise<FlushFigures> {
    const throughSeq = this.#sources.sequencer.watermark;
    let [rows, files] = [0, 0];
    let settled: Promise<void> | undefined;
    signal?.throwIfAborted();
    let coming: Coming | undefined = this.#begin(partition, throughSeq, undefined);
    try {
      while (coming !== undefined) {
        const written: WrittenRows | undefined = await coming;
        if (written === undefined) break;
        const flushed: FlushedSegment = written.flushed;
        // Meanwhile this one is stored and published.
        coming = flushed.more && signal?.aborted !== true ? this.#begin(partition, throughSeq, flushed.segment) : undefined;
        const published = await this.#store(partition, written);
        if (published === undefined) break;
        rows += flushed.segment.rows;
        files += 1;
        // Rows are not written to segments faster than they are removed.
        await settled;
        settled = this.afterPublication(partition, published.store, published.manifest);
        signal?.throwIfAborted();
      }
      return { rows, files };
    } finally {
      // Why this ends is known already.
      const unwanted = await coming?.catch(() => undefined);
      if (unwanted !== undefined) await this.#end(unwanted);
      await settled;
    }
  }

  #begin(partition: PartitionId, throughSeq: bigint, before: FlushedSegment['segment'] | undefined): Coming {
    const coming = this.#write(partition, throughSeq, before);
    // Whoever fails before it is asked for does not wait for it.
    coming.catch(() => undefined);
    return coming;
  }

  /** Writes the oldest rows behind the segment `before`, which is about to be published, into one; `undefined` when there are none, or the table is gone. */
  async #write(
    partition: PartitionId,
    throughSeq: bigint,
    before: FlushedSegment['segment'] | undefined,
  ): Promise<WrittenRows | undefined> {
    const { sequencer, catalog, thread, segments, clock, files, directory: root, segmentRowsMax = SEGMENT_ROWS_MAX } = this.#sources;
    const changed = new ChangedKeys(partition, sequencer);
    this.#lastFolder += 1;
    const directory = `${root}/${this.#lastFolder}`;
    let flushed: FlushedSegment | undefined;
    try {
      // From here on whatever changes is noticed, and what was there before is in the hot tier.
      await this.applied(directory);
      const table = catalog.tableById(partition.tableId);
      if (table === undefined) return undefined;
      const { manifest } = before === undefined ? this.read(partition) : { manifest: undefined };
      await makeSegmentFolder(files, directory);
      flushed = await thread.flush({
        table: segments.sentTable(table),
        partition,
        afterSeq: before?.maxSeq ?? manifest?.flushedSeq ?? 0n,
        throughSeq,
        rowsMax: segmentRowsMax,
        bytesMax: SEGMENT_BYTES_MAX,
        number: before === undefined ? (manifest?.nextNumber ?? 0) : before.number + 1,
        directory,
        root,
        createdAtMillis: clock.now(),
      });
      return flushed === undefined ? undefined : { flushed, changed, directory };
    } catch (error) {
      throw diskFailure(error, directory);
    } finally {
      if (flushed === undefined) await this.#end({ changed, directory });
    }
  }

  /** Everything committed is in the hot tier; rejects with SEGMENT_WRITE_FAILED, naming `path`, when that takes nothing now. */
  async applied(path: string): Promise<void> {
    try {
      await this.#sources.sequencer.flush();
    } catch (error) {
      throw applyFailure(error, path);
    }
  }

  /** Nothing more is wanted of what was written. */
  async #end({ changed, directory }: Omit<WrittenRows, 'flushed'>): Promise<void> {
    changed.close();
    await this.clear(directory);
  }

  /** Stores and publishes a segment; `undefined` when its table is gone. */
  async #store(partition: PartitionId, written: WrittenRows): Promise<Published | undefined> {
    const { flushed } = written;
    const table = this.#sources.catalog.tableById(partition.tableId);
    if (table === undefined) {
      await this.#end(written);
      return undefined;
    }
    const base = this.#base(table, partition);
    const { record } = base;
    try {
      await this.announce(partition, base);
      const store = await this.#sources.stores.store(record.storageId);
      await store.put(record.folder + flushed.segment.bloom.path, { file: flushed.bloomPath, take: true });
      await store.put(record.folder + flushed.segment.path, { file: flushed.path, take: true });
      await this.loadFilter(store, record, flushed);
      const manifest = await this.#publish(partition, { ...written, base });
      this.counts.segments += 1;
      this.counts.rows += flushed.segment.rows;
      return { store, manifest };
    } catch (error) {
      this.counts.givenUp += 1;
      // The segment may have been published after all: the next start knows.
      if (error instanceof KalamError && error.code === 'COMMIT_OUTCOME_UNKNOWN') throw error;
      await this.discard(record, flushed).catch((failure: unknown) => {
        this.#sources.warn('a segment that was not published could not be removed; the next start removes it', { error: failure });
      });
      if (error instanceof TableGone) return undefined;
      throw diskFailure(error, flushed.path);
    } finally {
      await this.#end(written);
    }
  }

  /** What the partition has, and where its next segment goes. */
  #base(table: Table, partition: PartitionId): Base {
    const { record, manifest } = this.read(partition);
    if (record !== undefined) return { record, manifest, number: manifest?.nextNumber ?? 0 };
    const fresh: ManifestRecord = {
      ...partition,
      ...this.#sources.stores.place(table, partition.owner),
      text: encodeManifest(emptyManifest),
      pending: undefined,
      dropped: [],
      createdAtMicros: 0n,
      updatedAtMicros: 0n,
    };
    return { record: fresh, manifest: undefined, number: 0 };
  }

  /** The manifest of a partition at the present watermark, and the row that holds it. */
  read(partition: PartitionId): { readonly record: ManifestRecord | undefined; readonly manifest: Manifest | undefined } {
    const { sequencer, manifests } = this.#sources;
    return sequencer.snapshots.read((snapshot) => {
      const row = snapshot.view(manifests.layout, manifests.partition).get(manifests.keyOf(partition));
      return { record: manifests.record(row), manifest: row === undefined ? undefined : manifests.read(row) };
    });
  }

  /** Writes down that files of this number may be there, so that a crash leaves none that nobody knows of. */
  async announce(partition: PartitionId, { record, number }: Base): Promise<void> {
    this.#sources.manifests.expect(partition);
    await this.commit(partition, (draft) => {
      const now = draft.nowMicros;
      const createdAtMicros = record.createdAtMicros === 0n ? now : record.createdAtMicros;
      manifestRepository.put(draft, { ...record, pending: number, createdAtMicros, updatedAtMicros: now });
    });
  }

  /** The filter is in memory before anybody may ask for it. */
  async loadFilter(store: ObjectStore, place: StoragePlace, { segment }: Pick<NewSegment, 'segment'>): Promise<void> {
    await this.#sources.blooms.get(filterName(place, segment), () => readFilter(store, place, segment));
  }

  async #publish(partition: PartitionId, { base, flushed, changed }: SegmentWork): Promise<Manifest> {
    const { sequencer, manifests } = this.#sources;
    const next = new NextManifest(base.manifest, flushed);
    await sequencer.slices.runFirst(next.prepare());
    const mask = async (): Promise<void> => {
      await changed.noted();
      await sequencer.slices.runFirst(maskSteps(next, changed.take()));
    };
    const turn = (draft: Draft): Manifest => {
      if (changed.size > TURN_KEYS_MAX) throw new NotYet();
      for (const key of changed.take()) next.mask(key);
      for (const { key } of sequencer.pendingVersions(partition)) next.mask(key);
      const published = next.manifest();
      const record = manifestRepository.latest(draft, BigInt(partition.tableId), partition.owner) ?? base.record;
      const text = encodeManifest(published);
      manifestRepository.put(draft, { ...record, text, pending: undefined, updatedAtMicros: draft.nowMicros });
      manifests.written(partition, { text, manifest: published });
      this.counts.turns += 1;
      return published;
    };
    const manifest = await this.commit(partition, turn, mask);
    this.counts.overtaken += next.maskedRows;
    return manifest;
  }

  /**
   * A commit of its own, synced, in which nobody holds the partition and its table is there; `prepare` comes before each attempt, and a turn
   * that throws {@link NotYet} is tried again. Throws {@link TableGone}.
   */
  async commit<T>(partition: PartitionId, turn: (draft: Draft) => T, prepare?: () => Promise<void>): Promise<T> {
    const { sequencer, latches, catalog } = this.#sources;
    for (;;) {
      await latches.free([], [partition]);
      await prepare?.();
      try {
        return await sequencer.submit(
          (draft) => {
            if (latches.isPartitionHeld(partition)) throw new NotYet();
            if (catalog.tableById(partition.tableId) === undefined) throw new TableGone();
            return turn(draft);
          },
          { alone: true },
        );
      } catch (error) {
        if (!(error instanceof NotYet)) throw error;
        this.counts.waited += 1;
      }
    }
  }

  /** What goes wrong here is made good later, and is never thrown: the segment is published and must not be given up. */
  async afterPublication(partition: PartitionId, store: ObjectStore, manifest: Manifest): Promise<void> {
    const { catalog, warn } = this.#sources;
    try {
      const { record } = this.read(partition);
      const table = catalog.tableById(partition.tableId);
      if (record !== undefined && table !== undefined) await writeManifestFile(store, { table, record, manifest });
      await this.#purge(partition, manifest.flushedSeq);
    } catch (error) {
      warn('a segment was published, but what follows could not be done yet', { partition, error });
    }
  }

  /** Removes the rows that segments hold, in steps. */
  async #purge(partition: PartitionId, throughSeq: bigint): Promise<void> {
    const { sequencer, hot } = this.#sources;
    // Readers whose manifest is an older one have a view of the hot tier that is older still.
    await sequencer.flush();
    for (let more = this.#hasDead(partition, throughSeq); more; ) {
      const purged = await hot.purgeFlushed({ partition, throughSeq }, PURGE_ROWS_MAX);
      this.counts.purged += purged.rows;
      more = purged.more;
    }
  }

  #hasDead(partition: PartitionId, throughSeq: bigint): boolean {
    const snapshot = this.#sources.hot.snapshot();
    try {
      for (const { seq } of snapshot.scanBySeq(partition, 0n)) return seq <= throughSeq;
      return false;
    } finally {
      snapshot.close();
    }
  }

  /** Removes what is left in a folder of one segment, and the folder; what cannot be removed now the next start removes. */
  async clear(folder: string): Promise<void> {
    const { files, warn } = this.#sources;
    try {
      for (const name of await files.list(folder)) await files.remove(`${folder}/${name}`);
      await files.removeDirectory(folder);
    } catch (error) {
      warn('a folder of a segment could not be removed', { folder, error });
    }
  }

  async discard(place: StoragePlace, { segment }: Pick<NewSegment, 'segment'>): Promise<void> {
    const store = await this.#sources.stores.store(place.storageId);
    await store.delete([place.folder + segment.path, place.folder + segment.bloom.path]);
  }

  /** Removes the files of a segment that was not published. */
  async #sweep(partition: PartitionId): Promise<void> {
    const { record } = this.read(partition);
    if (record?.pending === undefined) return;
    const store = await this.#sources.stores.store(record.storageId);
    const { path, bloomPath } = segmentNames(record.pending);
    await store.delete([record.folder + path, record.folder + bloomPath]);
    try {
      await this.commit(partition, (draft) => manifestRepository.put(draft, { ...record, pending: undefined }));
    } catch (error) {
      // What removes a dropped table takes its manifest away, too.
      if (!(error instanceof TableGone)) throw error;
    }
  }
}

interface Base {
  readonly record: ManifestRecord;
  /** `undefined` before the first segment. */
  readonly manifest: Manifest | undefined;
  /** Of the next segment. */
  readonly number: number;
}

/** A segment whose files lie in a folder of their own, and what has changed since its rows were read. */
interface WrittenRows {
  readonly flushed: FlushedSegment;
  readonly changed: ChangedKeys;
  readonly directory: string;
}

type Coming = Promise<WrittenRows | undefined>;

interface SegmentWork extends WrittenRows {
  readonly base: Base;
}

interface Published {
  readonly store: ObjectStore;
  readonly manifest: Manifest;
}
