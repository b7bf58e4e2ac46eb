import type * as NodeApi from '@duckdb/node-api';

/** DuckDB's module. */
export type DuckDb = typeof NodeApi;

/** Loads DuckDB: about 60 MB of memory and a tenth of a second, which a server that never needs it is spared. */
export function loadDuckDb(): Promise<DuckDb> {
  return import('@duckdb/node-api');
}

/** What an instance is opened with. */
export interface InstanceSettings {
  readonly memoryBytesMax: number;
  /** Threads that compute, those of the callers not counted. */
  readonly threads: number;
}

/**
 * Opens an instance in memory that can reach nothing outside of it: no file, no network, no extension, and no setting can be
 * changed any more. What does not fit into its memory fails; nothing is written to a disk.
 */
export async function openInstance(db: DuckDb, { memoryBytesMax, threads }: InstanceSettings): Promise<NodeApi.DuckDBInstance> {
  const instance = await db.DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: `${Math.ceil(memoryBytesMax / 1024)}KiB`,
    temp_directory: '',
    integer_division: 'true',
    default_null_order: 'nulls_last_on_asc_first_on_desc',
    enable_external_access: 'false',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
  });
  const connection = await instance.connect();
  try {
    for (const setting of ["TimeZone = 'UTC'", 'lock_configuration = true']) await connection.run(`SET GLOBAL ${setting}`);
  } finally {
    connection.closeSync();
  }
  return instance;
}
