import { kalamError } from '@kalamdb/protocol';
import {
  bytesChecksum,
  CommitPacker,
  decodeManifest,
  type HotSnapshot,
  type Manifest,
  type PartitionId,
  type StoredRow,
} from '@kalamdb/storage';
import { INTERNAL_SYSTEM_TABLES, NAMED_SYSTEM_TABLES } from '../catalog/persisted-tables.ts';
import { DROPPED_TABLES } from '../catalog/system-tables/dropped-tables.ts';
import { JOB_NODES, JOBS } from '../catalog/system-tables/jobs.ts';
import { MANIFESTS, type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import { NAMESPACES, namespaceRepository } from '../catalog/system-tables/namespaces.ts';
import { SCHEMAS, schemaRowName, tableRepository } from '../catalog/system-tables/schemas.ts';
import { STORAGES, storageRepository } from '../catalog/system-tables/storages.ts';
import { VIEWS, viewRepository } from '../catalog/system-tables/views.ts';
import type { Table } from '../catalog/table.ts';
import type { TableRecord } from '../catalog/table-record.ts';
import { RowCounts } from '../cold/row-counts.ts';
import { partitionName } from '../partition/overlay.ts';
import { SEQ_GAPS_TABLE_ID } from '../sequencer/seq-gaps.ts';
import { SEQ_RESERVATION_TABLE_ID } from '../sequencer/seq-reservation.ts';
import { type SegmentFile, segmentFiles } from './backup-keys.ts';
import type { BackedUpTable, ChunkKind } from './backup-manifest.ts';
import type { ReadChunk } from './backup-messages.ts';

/** Bytes of encoded rows after which a chunk takes no more. */
const CHUNK_BYTES: number = 4 * 1024 * 1024;

/** Tables that say what there is; their rows come first, and a restore reads them. */
export const CATALOG_TABLES: readonly Table[] = [NAMESPACES, SCHEMAS, VIEWS, STORAGES, MANIFESTS];
/** Jobs belong to the process that runs them; what was dropped has no rows in a backup that somebody would have to remove. */
const LEFT_OUT: ReadonlySet<number> = new Set([JOBS, JOB_NODES, DROPPED_TABLES, ...CATALOG_TABLES].map(({ id }) => id));
/** System tables that are copied as they are. */
const COPIED_TABLE_IDS: readonly number[] = [
  ...[...NAMED_SYSTEM_TABLES, ...INTERNAL_SYSTEM_TABLES].map(({ id }) => id).filter((id) => !LEFT_OUT.has(id)),
  SEQ_GAPS_TABLE_ID,
  SEQ_RESERVATION_TABLE_ID,
];

interface PartitionManifest {
  readonly record: ManifestRecord;
  readonly manifest: Manifest;
}

/**
 * Reads what a backup holds from one view of the hot tier, chunk by chunk: the catalog, then the rows. Streams are not in the hot tier; rows that
 * a segment holds, rows of dropped tables and jobs are left out.
 */
export class BackupReader {
  readonly #snapshot: HotSnapshot;
  readonly #namespace: string | undefined;
  readonly #tables = new Map<number, TableRecord>();
  readonly #manifests = new Map<string, PartitionManifest>();
  readonly #figures = new Map<number, BackedUpTable>();

  /** Throws NAMESPACE_MISSING. */
  constructor(snapshot: HotSnapshot, namespace: string | undefined) {
    this.#snapshot = snapshot;
    this.#namespace = namespace;
    if (
      namespace !== undefined &&
      this.#find(NAMESPACES, ({ cells }) => namespaceRepository.read({ cells }).namespaceId === namespace) === undefined
    ) {
      throw kalamError('NAMESPACE_MISSING', { namespace });
    }
    for (const { cells } of this.#live(SCHEMAS)) {
      if (namespace !== undefined && schemaRowName(cells).namespace !== namespace) continue;
      const record = tableRepository.read({ cells });
      if (record.isLatest) this.#tables.set(record.tableId, record);
    }
    for (const { cells } of this.#live(MANIFESTS)) {
      const record = manifestRepository.read({ cells });
      if (!this.#tables.has(record.tableId)) continue;
      const manifest = decodeManifest(record.text, `the manifest of table ${record.tableId}, owner '${record.owner}'`);
      this.#manifests.set(partitionName(record), { record, manifest });
    }
  }

  get seq(): bigint {
    return this.#snapshot.appliedSeq;
  }

  /** Everything there is to be kept; each chunk is made when it is asked for. */
  *chunks(): Generator<ReadChunk, void> {
    yield* this.#packed('catalog', this.#catalogRows());
    yield* this.#packed('rows', this.#systemRows());
    yield* this.#packed('rows', this.#tableRows());
  }

  /** The tables, when all chunks have been made. */
  tables(): readonly BackedUpTable[] {
    return [...this.#figures.values()];
  }

  *#live(table: Table): Generator<{ readonly row: StoredRow; readonly cells: ReturnType<Table['codec']['decode']> }> {
    for (const row of this.#snapshot.scan(table.partitionFor(''))) if (!row.deleted) yield { row, cells: table.codec.decode(row.bytes) };
  }

  #find(table: Table, test: (found: { readonly cells: ReturnType<Table['codec']['decode']> }) => boolean): StoredRow | undefined {
    for (const found of this.#live(table)) if (test(found)) return found.row;
    return undefined;
  }

  *#catalogRows(): Generator<PlacedRow> {
    for (const table of CATALOG_TABLES) {
      const partition = table.partitionFor('');
      for (const row of this.#snapshot.scan(partition)) {
        const bytes = this.#catalogBytes(table, row);
        if (bytes === undefined) continue;
        const found = table === MANIFESTS ? this.#manifestOf(bytes) : undefined;
        yield { partition, row: { ...row, bytes }, files: found === undefined ? undefined : filesOf(found) };
      }
    }
  }

  /** The cells of a row of the catalog as the backup has them; `undefined` when it has nothing to do with it. */
  #catalogBytes(table: Table, row: StoredRow): Uint8Array | undefined {
    const namespace = this.#namespace;
    const cells = table.codec.decode(row.bytes);
    if (table === MANIFESTS) return !row.deleted && this.#tables.has(manifestRepository.read({ cells }).tableId) ? row.bytes : undefined;
    if (table === STORAGES) {
      // Whoever has a backup must not have the keys to other places.
      const shown = storageRepository.toRow({ ...storageRepository.read({ cells }), credentials: undefined });
      return namespace === undefined ? table.codec.encode(shown) : undefined;
    }
    if (namespace === undefined) return row.bytes;
    if (row.deleted) return undefined;
    if (table === SCHEMAS) return schemaRowName(cells).namespace === namespace ? row.bytes : undefined;
    if (table === VIEWS) return viewRepository.read({ cells }).namespace === namespace ? row.bytes : undefined;
    return namespaceRepository.read({ cells }).namespaceId === namespace ? row.bytes : undefined;
  }

  #manifestOf(bytes: Uint8Array): PartitionManifest | undefined {
    return this.#manifests.get(partitionName(manifestRepository.read({ cells: MANIFESTS.codec.decode(bytes) })));
  }

  *#systemRows(): Generator<PlacedRow> {
    if (this.#namespace !== undefined) return;
    for (const tableId of COPIED_TABLE_IDS) {
      for (const owner of this.#snapshot.owners(tableId)) {
        const partition = { tableId, owner };
        for (const row of this.#snapshot.scan(partition)) yield { partition, row };
      }
    }
  }

  *#tableRows(): Generator<PlacedRow> {
    for (const { tableId, kind, namespace, name, version } of this.#tables.values()) {
      const figures = { rows: 0, hotRows: 0, segments: 0, segmentBytes: 0 };
      const hotOwners = kind === 'stream' ? [] : [...this.#snapshot.owners(tableId)];
      const coldOwners = [...this.#manifests.values()].flatMap(({ record }) => (record.tableId === tableId ? [record.owner] : []));
      for (const owner of new Set([...hotOwners, ...coldOwners])) yield* this.#partitionRows({ tableId, owner }, figures);
      this.#figures.set(tableId, { id: tableId, namespace, name, kind, version, ...figures });
    }
  }

  *#partitionRows(partition: PartitionId, figures: TableFigures): Generator<PlacedRow> {
    const found = this.#manifests.get(partitionName(partition));
    const { segments = [], flushedSeq = 0n } = found?.manifest ?? {};
    const counts = new RowCounts({ ...EMPTY, segments });
    for (const row of this.#snapshot.scan(partition)) {
      // A segment holds it.
      if (row.seq <= flushedSeq) continue;
      counts.add(row);
      figures.hotRows += 1;
      yield { partition, row };
    }
    figures.rows += counts.rows;
    figures.segments += segments.length;
    for (const { bytes } of segments) figures.segmentBytes += bytes;
  }

  *#packed(kind: ChunkKind, rows: Iterable<PlacedRow>): Generator<ReadChunk> {
    const packing = new Packing(this.seq);
    for (const row of rows) {
      packing.add(row);
      if (packing.bytes >= CHUNK_BYTES) yield packing.chunk(kind);
    }
    if (packing.rows > 0) yield packing.chunk(kind);
  }
}

const EMPTY = { version: 0, flushedSeq: 0n, expiredSeq: 0n, nextNumber: 0 } as const;

interface TableFigures {
  rows: number;
  hotRows: number;
  segments: number;
  segmentBytes: number;
}

interface PlacedRow {
  readonly partition: PartitionId;
  readonly row: StoredRow;
  readonly files?: readonly SegmentFile[] | undefined;
}

/** Rows on their way into chunks. */
class Packing {
  readonly #seq: bigint;
  readonly #packer = new CommitPacker();
  #files: SegmentFile[] = [];

  constructor(seq: bigint) {
    this.#seq = seq;
  }

  get bytes(): number {
    return this.#packer.bytes;
  }

  get rows(): number {
    return this.#packer.rows;
  }

  add({ partition, row, files = [] }: PlacedRow): void {
    this.#packer.add(partition, row);
    this.#files.push(...files);
  }

  /** What was added since the last one. */
  chunk(kind: ChunkKind): ReadChunk {
    const [rows, files] = [this.rows, this.#files];
    const bytes = this.#packer.finish(this.#seq);
    this.#files = [];
    return { kind, bytes, checksum: bytesChecksum(bytes), rows, files };
  }
}

function filesOf({ record, manifest }: PartitionManifest): readonly SegmentFile[] {
  return manifest.segments.flatMap((segment) => segmentFiles(record, segment));
}
