import type * as NodeApi from '@duckdb/node-api';
import { pathPattern, textLiteral } from './cell-literal.ts';

/** DuckDB's module. */
export type DuckDb = typeof NodeApi;

/** Loads DuckDB: about 60 MB of memory and a tenth of a second, which a server that never needs it is spared. */
export function loadDuckDb(): Promise<DuckDb> {
  return import('@duckdb/node-api');
}

/** The module and an instance of it. */
export interface OpenDuckDb {
  readonly db: DuckDb;
  readonly instance: NodeApi.DuckDBInstance;
}

/** What an instance is opened with. */
export interface InstanceSettings {
  readonly memoryBytesMax: number;
  /** Threads that compute, those of the callers not counted. */
  readonly threads: number;
  /** Folders whose files, also those of folders below, it may read and write; none unless given. */
  readonly directories?: readonly string[] | undefined;
}

/**
 * Opens an instance in memory that can reach nothing outside of it but the files of its folders: no other file, no network, no extension,
 * and no setting can be changed any more. What does not fit into its memory fails; nothing is written to a disk by itself.
 */
export async function openInstance(db: DuckDb, settings: InstanceSettings): Promise<NodeApi.DuckDBInstance> {
  const { memoryBytesMax, threads, directories = [] } = settings;
  const instance = await db.DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: `${Math.ceil(memoryBytesMax / 1024)}KiB`,
    temp_directory: '',
    integer_division: 'true',
    default_null_order: 'nulls_last_on_asc_first_on_desc',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
  });
  const connection = await instance.connect();
  try {
    const folders = directories.map((directory) => (directory.endsWith('/') ? directory : `${directory}/`));
    // A pattern is held against the list before it is looked up, and what it finds after.
    const allowed = folders.flatMap((folder) => [folder, pathPattern(folder)]).map(textLiteral);
    const last = [
      "TimeZone = 'UTC'",
      // Files are in the system's cache already.
      'enable_external_file_cache = false',
      `allowed_directories = [${allowed.join(', ')}]`,
      'enable_external_access = false',
      'lock_configuration = true',
    ];
    for (const setting of last) await connection.run(`SET GLOBAL ${setting}`);
  } finally {
    connection.closeSync();
  }
  return instance;
}
