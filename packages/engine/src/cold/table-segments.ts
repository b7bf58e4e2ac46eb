import type { Timers } from '@kalamdb/protocol';
import { listAll } from '@kalamdb/storage';
import { type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Table } from '../catalog/table.ts';
import type { RowVersion } from '../contract.ts';
import type { SnapshotSource } from '../partition/snapshot.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import type { ColdReader } from './cold-reader.ts';
import type { Flusher } from './flush.ts';
import type { Manifests } from './manifests.ts';

/** Milliseconds between two looks for snapshots that still read what is to be deleted. */
const SNAPSHOT_WAIT_MILLIS = 250;

/** What works on all segments of a table works with. */
export interface TableSegmentSources {
  readonly manifests: Manifests;
  readonly reader: ColdReader;
  readonly flusher: Flusher;
  readonly stores: StorageRegistry;
  readonly snapshots: SnapshotSource;
  readonly timers: Timers;
}

/** What the removal of a dropped table's segments came to. */
export interface RemovedSegments {
  /** Rows that were in them, those that were masked not counted. */
  readonly rows: number;
  readonly bytes: number;
  /** Takes the manifests away, in the commit that ends the removal. */
  finish(writer: SystemWriter): void;
}

/** All segments of a table, whoever owns the rows. */
export class TableSegments {
  readonly #sources: TableSegmentSources;

  constructor(sources: TableSegmentSources) {
    this.#sources = sources;
  }

  /** Whether a segment holds a row that is not deleted, is the newest of its key and passes the test. All commits are in the hot tier. */
  async someRow(table: Table, test: (row: RowVersion) => boolean): Promise<boolean> {
    const { manifests, reader, snapshots } = this.#sources;
    const snapshot = snapshots.open();
    try {
      for (const owner of manifests.owners(table.id)) {
        const partition = table.partitionFor(owner);
        const view = snapshot.view(table, partition);
        const { manifest } = view;
        if (manifest === undefined) continue;
        for await (const rows of reader.scan({ table, partition, manifest }, {})) {
          if (rows.some((row) => !row.deleted && test(row) && view.get(row.key) === undefined)) return true;
        }
      }
      return false;
    } finally {
      snapshot.close();
    }
  }

  /** Deletes the objects of a dropped table once nobody reads them. May be called again at any point. */
  async remove(tableId: number, signal: AbortSignal): Promise<RemovedSegments> {
    const { manifests, flusher } = this.#sources;
    const owners = manifests.owners(tableId);
    const records: ManifestRecord[] = [];
    let [rows, bytes] = [0, 0];
    if (owners.length > 0) await this.#readersGone(signal);
    for (const owner of owners) {
      signal.throwIfAborted();
      await flusher.exclusively({ tableId, owner }, async () => {
        const { record, manifest } = flusher.read({ tableId, owner });
        if (record === undefined) return;
        records.push(record);
        for (const segment of manifest?.segments ?? []) {
          rows += segment.rows - segment.masked.size;
          bytes += segment.bytes;
        }
        await this.#deleteObjects(record);
      });
    }
    return {
      rows,
      bytes,
      finish: (writer) => {
        for (const record of records) manifestRepository.remove(writer, record);
      },
    };
  }

  async #deleteObjects({ storageId, folder }: ManifestRecord): Promise<void> {
    const { stores } = this.#sources;
    const keys: string[] = [];
    // Nothing but the partition's objects lies in its folder.
    for await (const { key } of listAll(await stores.store(storageId), folder)) keys.push(key);
    for (const key of keys) await stores.deleteSegment({ storageId, key });
  }

  /** Resolves when every snapshot that was open is closed. */
  async #readersGone(signal: AbortSignal): Promise<void> {
    const { snapshots, timers } = this.#sources;
    const seq = snapshots.read((snapshot) => snapshot.seq);
    for (let oldest = snapshots.oldestSeq(); oldest !== undefined && oldest < seq; oldest = snapshots.oldestSeq()) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => timers.after(SNAPSHOT_WAIT_MILLIS, resolve));
    }
  }
}
