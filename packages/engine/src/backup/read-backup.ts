import { kalamError } from '@kalamdb/protocol';
import { bytesChecksum, type Commit, decodeCommit, decodeManifest } from '@kalamdb/storage';
import { MANIFESTS, type ManifestRecord, manifestRepository } from '../catalog/system-tables/manifests.ts';
import { NAMESPACES, type NamespaceRecord, namespaceRepository } from '../catalog/system-tables/namespaces.ts';
import { SCHEMAS, tableRepository } from '../catalog/system-tables/schemas.ts';
import { VIEWS, type ViewRecord, viewRepository } from '../catalog/system-tables/views.ts';
import type { TableRecord } from '../catalog/table-record.ts';
import { MANIFEST_KEY, type SegmentFile, segmentFiles } from './backup-keys.ts';
import { type BackupChunk, type BackupManifest, decodeBackupManifest, MANIFEST_BYTES_MAX } from './backup-manifest.ts';
import type { CheckedChunk } from './backup-messages.ts';
import type { BackupPlace } from './backup-place.ts';
import type { BackupThread } from './backup-thread.ts';

/** A backup that is read. */
export class BackupSource {
  readonly place: BackupPlace;
  readonly manifest: BackupManifest;

  private constructor(place: BackupPlace, manifest: BackupManifest) {
    this.place = place;
    this.manifest = manifest;
  }

  /** The backup in a place; `undefined` when there is none. Throws BACKUP_DAMAGED, BACKUP_UNKNOWN_FORMAT and what the store throws. */
  static async find(place: BackupPlace): Promise<BackupSource | undefined> {
    const key = place.prefix + MANIFEST_KEY;
    if ((await place.store.stat(key)) === undefined) return undefined;
    const bytes = await place.store.get(key, { bytesMax: MANIFEST_BYTES_MAX });
    return new BackupSource(place, decodeBackupManifest(bytes, place.name));
  }

  /** Reads a chunk and holds it against its checksum. */
  async chunk({ key, bytes, checksum }: BackupChunk): Promise<Uint8Array> {
    const { store, prefix } = this.place;
    if ((await store.stat(prefix + key))?.bytes !== bytes) throw this.damaged(`'${key}' is missing or has another size`);
    const content = await store.get(prefix + key, { bytesMax: bytes });
    if (bytesChecksum(content) !== checksum) throw this.damaged(`'${key}' does not match its checksum`);
    return content;
  }

  /** The chunks with the rows that say what there is. */
  async *catalogChunks(): AsyncGenerator<Commit> {
    for (const chunk of this.manifest.chunks) if (chunk.kind === 'catalog') yield this.#decoded(chunk, await this.chunk(chunk));
  }

  /** What the rows say that say what there is. Throws BACKUP_DAMAGED when they do not agree with the manifest. */
  async catalog(): Promise<BackedUpCatalog> {
    const catalog = new BackedUpCatalog();
    for await (const chunk of this.catalogChunks()) catalog.add(chunk);
    for (const { id, namespace, name, version } of this.manifest.tables) {
      const found = catalog.tables.get(id);
      if (found?.namespace === namespace && found.name === name && found.version === version) continue;
      throw this.damaged(`the definition of table ${namespace}.${name} is missing`);
    }
    if (catalog.tables.size !== this.manifest.tables.length) throw this.damaged('it defines tables that it does not name');
    for (const { tableId } of catalog.manifests) {
      if (!catalog.tables.has(tableId)) throw this.damaged(`it has segments of a table ${tableId} that it does not define`);
    }
    return catalog;
  }

  /** The chunks of rows, one after another, each looked through; at the end they are as many as the manifest says. */
  async *rows(
    thread: BackupThread,
    options: { readonly tableIds?: ReadonlyMap<number, number>; readonly wanted: boolean },
  ): AsyncGenerator<CheckedChunk> {
    const counted = new Map<number, number>();
    for (const chunk of this.manifest.chunks) {
      if (chunk.kind !== 'rows') continue;
      const checked = await thread.check({ bytes: await this.chunk(chunk), ...options }).catch((error: unknown) => {
        throw this.damaged(`'${chunk.key}' cannot be read`, error);
      });
      if (checked.rows !== chunk.rows) throw this.damaged(`'${chunk.key}' has ${checked.rows} rows instead of ${chunk.rows}`);
      if (checked.lastSeq > this.manifest.seq) throw this.damaged(`'${chunk.key}' has rows of later commits`);
      for (const [id, rows] of checked.rowsByTable) counted.set(id, (counted.get(id) ?? 0) + rows);
      yield checked;
    }
    for (const { id, namespace, name, hotRows } of this.manifest.tables) {
      const found = counted.get(id) ?? 0;
      if (found !== hotRows) throw this.damaged(`table ${namespace}.${name} has ${found} rows instead of ${hotRows}`);
    }
  }

  damaged(reason: string, cause?: unknown): Error {
    return kalamError('BACKUP_DAMAGED', { place: this.place.name, reason }, { cause });
  }

  #decoded({ key }: BackupChunk, bytes: Uint8Array): Commit {
    try {
      return decodeCommit(bytes);
    } catch (error) {
      throw this.damaged(`'${key}' cannot be read`, error);
    }
  }
}

/** The part of a backup that says what there is. */
export class BackedUpCatalog {
  readonly namespaces: NamespaceRecord[] = [];
  /** All versions of all tables. */
  readonly versions: TableRecord[] = [];
  /** The newest ones by table id. */
  readonly tables: Map<number, TableRecord> = new Map();
  readonly views: ViewRecord[] = [];
  readonly manifests: ManifestRecord[] = [];

  add({ parts }: Commit): void {
    for (const { partition, rows } of parts) {
      for (const { deleted, bytes } of rows) if (!deleted) this.#addRow(partition.tableId, bytes);
    }
  }

  /** Every object of the segments that the manifests name. */
  *files(): Generator<SegmentFile> {
    for (const record of this.manifests) {
      const manifest = decodeManifest(record.text, `the manifest of table ${record.tableId}, owner '${record.owner}'`);
      for (const segment of manifest.segments) yield* segmentFiles(record, segment);
    }
  }

  #addRow(tableId: number, bytes: Uint8Array): void {
    switch (tableId) {
      case NAMESPACES.id:
        this.namespaces.push(namespaceRepository.read({ cells: NAMESPACES.codec.decode(bytes) }));
        break;
      case SCHEMAS.id: {
        const version = tableRepository.read({ cells: SCHEMAS.codec.decode(bytes) });
        this.versions.push(version);
        if (version.isLatest) this.tables.set(version.tableId, version);
        break;
      }
      case VIEWS.id:
        this.views.push(viewRepository.read({ cells: VIEWS.codec.decode(bytes) }));
        break;
      case MANIFESTS.id:
        this.manifests.push(manifestRepository.read({ cells: MANIFESTS.codec.decode(bytes) }));
        break;
      default:
    }
  }
}
