import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { bytesChecksum, directoryFormat } from '@kalamdb/storage';

/** Format of backups: of `manifest.json`, of chunks, and of the names of objects. */
const BACKUP_FORMAT = 1;
/** Bytes of a `manifest.json` that is read. */
export const MANIFEST_BYTES_MAX: number = 256 * 1024 * 1024;

/** What a chunk holds: rows of the tables that say what there is, or rows that are written back as they are. */
export type ChunkKind = 'catalog' | 'rows';

/** An object with encoded rows (`encodeCommit` of storage, named by the backup's commit). */
export interface BackupChunk {
  /** Below the folder of the backup. */
  readonly key: string;
  readonly kind: ChunkKind;
  readonly bytes: number;
  /** CRC32C, unsigned. */
  readonly checksum: number;
  /** Tombstones included. */
  readonly rows: number;
}

/** A table in a backup. */
export interface BackedUpTable {
  /** Table id of the storage layer in the database that was backed up. */
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly kind: 'user' | 'shared' | 'stream';
  readonly version: number;
  /** Rows that are not deleted, in chunks and segments. */
  readonly rows: number;
  /** Rows in chunks, tombstones included. */
  readonly hotRows: number;
  readonly segments: number;
  readonly segmentBytes: number;
}

/** What a backup is: everything as it was at one commit. */
export interface BackupManifest {
  /** Absent: the whole database. */
  readonly namespace: string | undefined;
  /** Name of the newest commit in it. */
  readonly seq: bigint;
  /** Of the database that was backed up. */
  readonly incarnation: string;
  readonly createdAtMillis: number;
  readonly tables: readonly BackedUpTable[];
  readonly chunks: readonly BackupChunk[];
}

interface WrittenManifest {
  readonly version: '1.0';
  readonly format: number;
  readonly directory_format: number;
  readonly created_at: string;
  readonly namespace: string | null;
  readonly commit: string;
  readonly incarnation: string;
  readonly statistics: object;
  readonly tables: readonly BackedUpTable[];
  readonly chunks: readonly BackupChunk[];
}

/** Totals of a backup. */
export interface BackupStatistics {
  readonly tables: number;
  readonly rows: number;
  readonly segments: number;
  readonly segmentBytes: number;
  readonly chunkBytes: number;
}

/** Adds up what a manifest says. */
export function statisticsOf({ tables, chunks }: Pick<BackupManifest, 'tables' | 'chunks'>): BackupStatistics {
  const sum = <T>(values: readonly T[], of: (value: T) => number): number => values.reduce((total, value) => total + of(value), 0);
  return {
    tables: tables.length,
    rows: sum(tables, ({ rows }) => rows),
    segments: sum(tables, ({ segments }) => segments),
    segmentBytes: sum(tables, ({ segmentBytes }) => segmentBytes),
    chunkBytes: sum(chunks, ({ bytes }) => bytes),
  };
}

/**
 * The text of a backup's `manifest.json`: one JSON object, whose last member `checksum` is the CRC32C of the text that the object has
 * without it (`JSON.stringify`). It is written last: a backup without it does not exist.
 */
export function encodeBackupManifest(manifest: BackupManifest): Uint8Array {
  const { namespace, seq, incarnation, createdAtMillis, tables, chunks } = manifest;
  const written: WrittenManifest = {
    version: '1.0',
    format: BACKUP_FORMAT,
    directory_format: directoryFormat,
    created_at: new Date(createdAtMillis).toISOString(),
    namespace: namespace ?? null,
    commit: String(seq),
    incarnation,
    statistics: statisticsOf(manifest),
    tables,
    chunks,
  };
  const checksum = bytesChecksum(Buffer.from(JSON.stringify(written)));
  return Buffer.from(`${JSON.stringify({ ...written, checksum })}\n`);
}

/** The inverse. Throws BACKUP_DAMAGED, and BACKUP_UNKNOWN_FORMAT for what a newer release has written. */
export function decodeBackupManifest(bytes: Uint8Array, place: string): BackupManifest {
  const damaged = (cause?: unknown): Error =>
    kalamError('BACKUP_DAMAGED', { place, reason: 'manifest.json is not as it was written' }, { cause });
  let parsed: (WrittenManifest & { readonly checksum: number }) | null;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw damaged(error);
  }
  if (typeof parsed !== 'object' || parsed === null) throw damaged();
  const { checksum, ...written } = parsed;
  if (checksum !== bytesChecksum(Buffer.from(JSON.stringify(written)))) throw damaged();
  if (written.format !== BACKUP_FORMAT) throw kalamError('BACKUP_UNKNOWN_FORMAT', { place, found: written.format, known: BACKUP_FORMAT });
  if (written.directory_format > directoryFormat) {
    throw kalamError('BACKUP_UNKNOWN_FORMAT', { place, found: written.directory_format, known: directoryFormat });
  }
  const { namespace, commit, incarnation, created_at: createdAt, tables, chunks } = written;
  return { namespace: namespace ?? undefined, seq: BigInt(commit), incarnation, createdAtMillis: Date.parse(createdAt), tables, chunks };
}
