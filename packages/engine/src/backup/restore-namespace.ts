import { join } from 'node:path';
import { kalamError } from '@kalamdb/protocol';
import type { FileSystem, HotStore } from '@kalamdb/storage';
import { allocateTableId } from '../catalog/bootstrap.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type DroppedTableRecord, droppedTableRepository } from '../catalog/system-tables/dropped-tables.ts';
import { type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import { namespaceRepository } from '../catalog/system-tables/namespaces.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { tableRepository } from '../catalog/system-tables/schemas.ts';
import { viewRepository } from '../catalog/system-tables/views.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';
import type { StorageRegistry } from '../stores/storage-registry.ts';
import type { SegmentFile } from './backup-keys.ts';
import type { BackupThread } from './backup-thread.ts';
import { inParallel } from './in-parallel.ts';
import { BackedUpCatalog, type BackupSource } from './read-backup.ts';
import type { Run } from './take-backup.ts';
import { checkFile } from './verify-backup.ts';

/** Manifests that one commit announces. */
const ANNOUNCED_MAX = 1000;
/** Bytes of manifests after which a commit announces no more. */
const ANNOUNCED_BYTES_MAX: number = 8 * 1024 * 1024;
/** Segments that are copied at the same time. */
const COPIES_MAX = 2;

/** What a namespace is restored with. */
export interface NamespaceRestore {
  readonly source: BackupSource;
  readonly namespace: string;
  /** The job that it is done for: if it does not come to its end, what it has written is removed as that of a dropped table. */
  readonly jobId: string;
  readonly catalog: Catalog;
  readonly sequencer: Sequencer;
  readonly hot: HotStore;
  readonly stores: StorageRegistry;
  readonly thread: BackupThread;
  readonly files: FileSystem;
  /** Where copies of distant objects lie for a moment. */
  readonly folder: string;
}

/** A namespace whose rows and segments are there, and that nobody can see yet. */
export interface RestoredNamespace {
  readonly tables: number;
  readonly rows: number;
  readonly segments: number;
  /** Makes it visible, in the commit that ends the job. Throws NAMESPACE_EXISTS. */
  finish(writer: SystemWriter): void;
}

/**
 * Brings a namespace back into a running database under new table ids: first these are written down as dropped tables, so that whatever happens
 * their rows and segments are removed, then rows and segments are written where nobody reads, and with one commit it is there. Throws
 * BACKUP_DAMAGED, RESTORE_REFUSED, STORAGE_NOT_FOUND.
 */
export async function restoreNamespace(restore: NamespaceRestore, run: Run): Promise<RestoredNamespace> {
  const { source, namespace, catalog, sequencer } = restore;
  if (catalog.namespace(namespace) !== undefined) throw kalamError('NAMESPACE_EXISTS', { namespace });
  const part = partOf(await source.catalog(), namespace);
  const [found] = part.namespaces;
  if (found === undefined) throw kalamError('BACKUP_MISSING', { what: `namespace '${namespace}'`, place: source.place.name });
  const { tableIds, viewIds, dropped } = await allocate(restore, part);
  // What was just committed is above everything that the clock of this database has seen.
  if (source.manifest.seq > sequencer.watermark) {
    throw kalamError('RESTORE_REFUSED', { reason: 'the backup holds commits that are ahead of the clock of this server' });
  }
  const folders = await announce(restore, { part, tableIds });
  const rows = await loadRows(restore, { tableIds, run });
  const segments = await copySegments(restore, { part, tableIds, folders, run });
  run.signal.throwIfAborted();
  const finish = (writer: SystemWriter): void => {
    if (namespaceRepository.latest(writer, namespace) !== undefined) throw kalamError('NAMESPACE_EXISTS', { namespace });
    for (const record of dropped) droppedTableRepository.remove(writer, record);
    namespaceRepository.put(writer, found);
    const restoredSeq = sequencer.watermark;
    for (const version of part.versions) {
      tableRepository.put(writer, { ...version, tableId: idOf(tableIds, version.tableId), restoredSeq });
    }
    for (const view of part.views) viewRepository.put(writer, { ...view, tableId: idOf(viewIds, view.tableId) });
  };
  return { tables: part.tables.size, rows, segments, finish };
}

/** What of a catalog belongs to one namespace. */
function partOf(catalog: BackedUpCatalog, namespace: string): BackedUpCatalog {
  const part = new BackedUpCatalog();
  part.namespaces.push(...catalog.namespaces.filter(({ namespaceId }) => namespaceId === namespace));
  part.versions.push(...catalog.versions.filter((version) => version.namespace === namespace));
  for (const [id, table] of catalog.tables) if (table.namespace === namespace) part.tables.set(id, table);
  part.views.push(...catalog.views.filter((view) => view.namespace === namespace));
  part.manifests.push(...catalog.manifests.filter(({ tableId }) => part.tables.has(tableId)));
  return part;
}

interface Allocated {
  readonly tableIds: ReadonlyMap<number, number>;
  readonly viewIds: ReadonlyMap<number, number>;
  readonly dropped: readonly DroppedTableRecord[];
}

function allocate({ sequencer, jobId }: NamespaceRestore, part: BackedUpCatalog): Promise<Allocated> {
  return sequencer.submit(
    (writer) => {
      const tableIds = new Map([...part.tables.keys()].map((id) => [id, allocateTableId(writer)]));
      const viewIds = new Map(part.views.map(({ tableId }) => [tableId, allocateTableId(writer)]));
      const dropped = [...part.tables.values()].map((table): DroppedTableRecord => {
        const { namespace, name, kind } = table;
        return { tableId: idOf(tableIds, table.tableId), namespace, name, kind, jobId, droppedAtMicros: writer.nowMicros };
      });
      for (const record of dropped) droppedTableRepository.put(writer, record);
      return { tableIds, viewIds, dropped };
    },
    { alone: true },
  );
}

interface Placed {
  readonly part: BackedUpCatalog;
  readonly tableIds: ReadonlyMap<number, number>;
}

/** Writes down where segments are going to lie, so that no crash leaves one that nobody knows of. Answers the places by the folders there were. */
async function announce(restore: NamespaceRestore, { part, tableIds }: Placed): Promise<ReadonlyMap<string, ManifestRecord>> {
  const { stores, sequencer } = restore;
  const records = new Map<string, ManifestRecord>();
  let batch: ManifestRecord[] = [];
  let bytes = 0;
  const commit = async (): Promise<void> => {
    if (batch.length === 0) return;
    const written = batch;
    const turn = (writer: SystemWriter): void => {
      for (const record of written) manifestRepository.put(writer, record);
    };
    await sequencer.submit(turn, { alone: true });
    batch = [];
    bytes = 0;
  };
  for (const old of part.manifests) {
    const table = part.tables.get(old.tableId);
    if (table === undefined) continue;
    const tableId = idOf(tableIds, old.tableId);
    const record = { ...old, tableId, ...stores.place({ ...table, id: tableId }, old.owner), pending: undefined, dropped: [] };
    records.set(placeName(old), record);
    batch.push(record);
    bytes += record.text.length;
    if (batch.length >= ANNOUNCED_MAX || bytes >= ANNOUNCED_BYTES_MAX) await commit();
  }
  await commit();
  return records;
}

function placeName({ tableId, owner }: Pick<ManifestRecord, 'tableId' | 'owner'>): string {
  return `${tableId}/${owner}`;
}

async function loadRows(
  { source, thread, hot }: NamespaceRestore,
  { tableIds, run }: { readonly tableIds: ReadonlyMap<number, number>; readonly run: Run },
): Promise<number> {
  let rows = 0;
  for await (const chunk of source.rows(thread, { tableIds, wanted: true })) {
    run.signal.throwIfAborted();
    if (chunk.bytes !== undefined) await hot.load(chunk.bytes);
    for (const [id, count] of chunk.rowsByTable) if (tableIds.has(id)) rows += count;
    run.progress(`${rows} rows restored`);
  }
  return rows;
}

async function copySegments(
  restore: NamespaceRestore,
  { part, folders, run }: Placed & { readonly folders: ReadonlyMap<string, ManifestRecord>; readonly run: Run },
): Promise<number> {
  const { source, files, folder, stores } = restore;
  const { store, prefix } = source.place;
  let [segments, bytes] = [0, 0];
  const copy = async (file: SegmentFile): Promise<void> => {
    run.signal.throwIfAborted();
    await checkFile(source, file, files);
    const record = folders.get(placeName(file));
    if (record === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a segment without a partition' });
    const target = await stores.store(record.storageId);
    const local = store.localPath(prefix + file.copy);
    const path = local ?? join(folder, file.copy.replaceAll('/', '-'));
    if (local === undefined) {
      await files.makeDirectory(folder);
      await store.download(prefix + file.copy, path);
    }
    await target.put(record.folder + file.path, { file: path, take: local === undefined });
    segments += file.copy.endsWith('.parquet') ? 1 : 0;
    bytes += file.bytes;
    run.progress(`${bytes} bytes of segments restored`);
  };
  await inParallel([...part.files()], COPIES_MAX, copy);
  return segments;
}

function idOf(ids: ReadonlyMap<number, number>, id: number): number {
  const found = ids.get(id);
  if (found === undefined) throw kalamError('INTERNAL_ERROR', { reason: `table ${id} has got no new id` });
  return found;
}
