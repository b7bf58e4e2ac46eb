import type { Principal } from '../../contract.ts';
import type { DemandedTexts, ScanProvider } from '../catalog.ts';
import { key, optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

/** `system.manifest`, whose columns SHOW MANIFEST gives too. */
export const MANIFEST: Table = systemTable({
  id: 115,
  name: 'manifest',
  comment: 'What the cold tier holds of each table',
  columns: [
    key('cache_key', 'text', 'Namespace, table and scope'),
    required('namespace_id', 'text', 'Namespace'),
    required('table_name', 'text', 'Table'),
    required('scope', 'text', 'shared, or the user'),
    optional('etag', 'text', 'Version in the storage'),
    required('last_refreshed', 'timestamp', 'When it was read'),
    required('last_accessed', 'timestamp', 'When it was used'),
    required('in_memory', 'boolean', 'Whether it is in memory'),
    required('sync_state', 'text', 'Whether the storage has it'),
    required('manifest_json', 'json', 'Its segments'),
  ],
});

/** What is shown of one partition with rows that are flushed or can be. */
export interface ManifestEntry {
  readonly namespace: string;
  readonly table: string;
  /** The user, or `shared`. */
  readonly scope: string;
  /** The version of the manifest; `undefined` before the first segment. */
  readonly version: number | undefined;
  readonly updatedAtMicros: bigint;
  readonly state: 'in_sync' | 'pending_write' | 'syncing';
  /** JSON. */
  readonly text: string;
}

/** `system.manifest` (catalog B11): a row for each partition that the principal may read, with those whose rows are all hot. */
export function manifestView(source: (principal: Principal, demanded?: DemandedTexts) => Iterable<ManifestEntry>): ScanProvider {
  return {
    table: MANIFEST,
    *rows(principal, demanded) {
      for (const { namespace, table, scope, version, updatedAtMicros, state, text } of source(principal, demanded)) {
        const etag = version === undefined ? null : String(version);
        const cacheKey = `${namespace}:${table}:${scope}`;
        yield computedRow([cacheKey, namespace, table, scope, etag, updatedAtMicros, updatedAtMicros, version !== undefined, state, text]);
      }
    },
  };
}
