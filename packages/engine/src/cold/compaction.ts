import { KalamError } from '@kalamdb/protocol';
import {
  type BloomCache,
  encodeManifest,
  encodePositions,
  type FileSystem,
  type Manifest,
  type PartitionId,
  type Segment,
} from '@kalamdb/storage';
import type { Catalog } from '../catalog/catalog.ts';
import { type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { Table } from '../catalog/table.ts';
import type { Draft } from '../sequencer/draft.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { Steps } from '../slices/steps.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import { ChangedKeys } from './changed-keys.ts';
import type { MergedSegment, NewSegment } from './cold-messages.ts';
import type { ColdThread } from './cold-thread.ts';
import { type Compacted, CompactedManifest } from './compacted-manifest.ts';
import { type CompactionWish, type MergeBounds, type MergeRun, planCompaction } from './compaction-plan.ts';
import { diskFailure } from './disk-failure.ts';
import { type Flusher, NotYet, TableGone } from './flush.ts';
import type { Manifests } from './manifests.ts';
import { encodeSteps, maskSteps, TURN_KEYS_MAX } from './publication-steps.ts';
import { makeSegmentFolder } from './segment-folder.ts';
import type { SegmentGraveyard } from './segment-graveyard.ts';
import { filterName, type Segments, sentSegment } from './segments.ts';
import type { TombstoneRetention } from './tombstone-retention.ts';

/** What a {@link Compactor} works with. */
export interface CompactorSources {
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly manifests: Manifests;
  readonly stores: StorageRegistry;
  readonly blooms: BloomCache;
  readonly segments: Segments;
  readonly flusher: Flusher;
  readonly graveyard: SegmentGraveyard;
  readonly retention: TombstoneRetention;
  /** The one that flushes, too. */
  readonly thread: ColdThread;
  readonly files: FileSystem;
  /** Where segments are written before their storage has them; nothing else lies there. */
  readonly directory: string;
  readonly bounds: MergeBounds;
}

/** What compactions have come to since the database was opened, for tests and metrics. */
export interface CompactionCounts {
  runs: number;
  /** Segments that were replaced. */
  inputs: number;
  rowsRead: number;
  rowsWritten: number;
  bytesRead: number;
  bytesWritten: number;
  /** Tombstones that were left out. */
  expired: number;
  /** Rows of new segments that had newer versions when they were published. */
  overtaken: number;
  /** Runs that came to nothing. */
  givenUp: number;
}

/** How a compaction is done. */
export interface CompactionRequest {
  readonly extent: CompactionWish['extent'];
  readonly signal?: AbortSignal | undefined;
  /** Told after each run. */
  readonly progress?: ((inputs: number) => void) | undefined;
}

/** Makes few segments without holes of many. States and invariants: SPEC.md beside this file. */
export class Compactor {
  readonly counts: CompactionCounts = {
    runs: 0,
    inputs: 0,
    rowsRead: 0,
    rowsWritten: 0,
    bytesRead: 0,
    bytesWritten: 0,
    expired: 0,
    overtaken: 0,
    givenUp: 0,
  };
  readonly #sources: CompactorSources;
  #lastFolder = 0;

  constructor(sources: CompactorSources) {
    this.#sources = sources;
  }

  /** Removes the files that the last run was writing, before anything is written in this one. */
  async clear(): Promise<void> {
    const { files, directory, flusher } = this.#sources;
    for (const name of await files.list(directory)) await flusher.clear(`${directory}/${name}`);
  }

  /** Whether a compaction of the extent `due` has something to do. */
  async isDue(table: Table, partition: PartitionId): Promise<boolean> {
    return this.#sources.sequencer.slices.run(this.#lookAt(table, partition), () => undefined);
  }

  /**
   * Merges segments of a partition. Rejects with what the storages answer, SEGMENT_WRITE_FAILED, DAMAGED_DATA, what the sequencer throws and
   * the signal's reason; what was published before stays.
   */
  async compactPartition(partition: PartitionId, { extent, signal, progress }: CompactionRequest): Promise<void> {
    const { catalog, flusher } = this.#sources;
    const table = catalog.tableById(partition.tableId);
    const { manifest } = flusher.read(partition);
    if (table === undefined || manifest === undefined) return;
    for (const run of planCompaction(manifest, this.#wish(table, extent))) {
      signal?.throwIfAborted();
      // Flushes come in between.
      await flusher.exclusively(partition, () => this.#merge(partition, run, signal));
      progress?.(run.length);
    }
  }

  // biome-ignore lint/correctness/useYield: one manifest is one step
  *#lookAt(table: Table, partition: PartitionId): Steps<boolean> {
    const { manifest } = this.#sources.flusher.read(partition);
    return manifest !== undefined && planCompaction(manifest, this.#wish(table, 'due')).length > 0;
  }

  #wish(table: Table, extent: CompactionWish['extent']): CompactionWish {
    const { bounds, retention } = this.#sources;
    return { bounds, extent, expiredThroughSeq: (segment) => retention.expiredInSegment(table, segment) };
  }

  async #merge(partition: PartitionId, run: MergeRun, signal: AbortSignal | undefined): Promise<void> {
    const { sequencer, catalog, files, flusher, directory: root } = this.#sources;
    const changed = new ChangedKeys(partition, sequencer);
    this.#lastFolder += 1;
    const directory = `${root}/${this.#lastFolder}`;
    try {
      // From here on whatever changes is noticed, and what was there before is in the hot tier.
      await flusher.applied(directory);
      const table = catalog.tableById(partition.tableId);
      const { record, manifest } = flusher.read(partition);
      if (table === undefined || record === undefined || manifest === undefined) return;
      const inputs = manifest.segments.filter(({ number }) => run.includes(number));
      if (inputs.length !== run.length) return;
      await makeSegmentFolder(files, directory);
      const work = { record, manifest, inputs, changed };
      const compacted = await this.#write(partition, { ...work, table, directory });
      signal?.throwIfAborted();
      await this.#store(partition, { ...work, compacted });
    } catch (error) {
      this.counts.givenUp += 1;
      throw diskFailure(error, directory);
    } finally {
      changed.close();
      await flusher.clear(directory);
    }
  }

  async #write(partition: PartitionId, { table, manifest, inputs, directory }: MergeWork & WrittenWhere): Promise<Compacted> {
    const { segments, thread, retention, directory: root } = this.#sources;
    const files = await segments.openFiles(manifest, inputs);
    try {
      const sent = inputs.map((segment, index): MergedSegment => {
        const masked = encodePositions(segment.masked);
        return { ...sentSegment(segment, files[index]), masked, expiredThroughSeq: retention.expiredInSegment(table, segment) };
      });
      const merged = await thread.compact({
        table: segments.sentTable(table),
        partition,
        flushedSeq: manifest.flushedSeq,
        segments: sent,
        number: manifest.nextNumber,
        directory,
        root,
        // The age of its tombstones, which are not younger than the segments were that they come from.
        createdAtMillis: inputs.reduce((newest, { createdAtMillis }) => Math.max(newest, createdAtMillis), 0),
      });
      return { ...merged, inputs };
    } finally {
      for (const { close } of files) close();
    }
  }

  async #store(partition: PartitionId, work: PublishedWork): Promise<void> {
    const { flusher, stores, graveyard, sequencer } = this.#sources;
    const { record, manifest: base, compacted, inputs } = work;
    const { merged } = compacted;
    try {
      const store = await stores.store(record.storageId);
      if (merged !== undefined) {
        await flusher.announce(partition, { record, manifest: base, number: base.nextNumber });
        await store.put(record.folder + merged.segment.bloom.path, { file: merged.bloomPath, take: true });
        await store.put(record.folder + merged.segment.path, { file: merged.path, take: true });
        await flusher.loadFilter(store, record, merged);
      }
      const published = await this.#publish(partition, work);
      graveyard.add({ partition, numbers: inputs.map(({ number }) => number), sinceSeq: sequencer.watermark });
      this.#count(work);
      for (const segment of inputs) this.#sources.blooms.delete(filterName(record, segment));
      await flusher.afterPublication(partition, store, published);
    } catch (error) {
      if (error instanceof TableGone) await this.#discard(record, merged);
      else if (!(error instanceof KalamError) || error.code !== 'COMMIT_OUTCOME_UNKNOWN') {
        await this.#discard(record, merged).catch(() => undefined); // the next start removes it
        throw error;
      } else throw error;
    }
  }

  async #discard(record: ManifestRecord, merged: NewSegment | undefined): Promise<void> {
    if (merged !== undefined) await this.#sources.flusher.discard(record, merged);
  }

  async #publish(partition: PartitionId, { record: known, manifest: base, compacted, changed }: PublishedWork): Promise<Manifest> {
    const { sequencer, manifests, flusher } = this.#sources;
    const next = new CompactedManifest(base, compacted);
    await sequencer.slices.runFirst(encodeSteps(base.segments));
    const mask = async (): Promise<void> => {
      await changed.noted();
      await sequencer.slices.runFirst(maskSteps(next, changed.take()));
    };
    const turn = (draft: Draft): Manifest => {
      if (changed.size > TURN_KEYS_MAX) throw new NotYet();
      for (const key of changed.take()) next.mask(key);
      for (const { key } of sequencer.pendingVersions(partition)) next.mask(key);
      const manifest = next.manifest();
      const record = manifestRepository.latest(draft, BigInt(partition.tableId), partition.owner) ?? known;
      const dropped = [...record.dropped, ...compacted.inputs.map(({ number }) => number)];
      const text = encodeManifest(manifest);
      manifestRepository.put(draft, { ...record, text, dropped, pending: undefined, updatedAtMicros: draft.nowMicros });
      manifests.written(partition, { text, manifest });
      return manifest;
    };
    const published = await flusher.commit(partition, turn, mask);
    this.counts.overtaken += next.maskedRows;
    return published;
  }

  #count({ compacted: { rows, merged, expired }, inputs }: PublishedWork): void {
    const { counts } = this;
    counts.runs += 1;
    counts.inputs += inputs.length;
    counts.rowsRead += rows;
    counts.rowsWritten += merged?.segment.rows ?? 0;
    counts.bytesRead += inputs.reduce((sum, { bytes }) => sum + bytes, 0);
    counts.bytesWritten += merged?.segment.bytes ?? 0;
    counts.expired += expired;
  }
}

interface MergeWork {
  readonly record: ManifestRecord;
  readonly manifest: Manifest;
  readonly inputs: readonly Segment[];
  readonly changed: ChangedKeys;
}

interface WrittenWhere {
  readonly table: Table;
  readonly directory: string;
}

interface PublishedWork extends MergeWork {
  readonly compacted: Compacted;
}
