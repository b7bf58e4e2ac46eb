import type { ScanProvider } from '../catalog.ts';
import { key, optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { DESCRIBE } from './describe-view.ts';

const SESSIONS: Table = systemTable({
  id: 107,
  name: 'sessions',
  comment: 'Sessions of the PostgreSQL bridge',
  columns: [
    required('session_id', 'text', 'Session'),
    optional('backend_pid', 'bigint', 'Process'),
    optional('current_schema', 'text', 'Namespace'),
    required('state', 'text', 'idle or idle in transaction'),
    optional('transaction_id', 'text', 'Transaction'),
    optional('transaction_state', 'text', 'State of the transaction'),
    required('transaction_has_writes', 'boolean', 'Whether it has written'),
    optional('client_addr', 'text', 'From where'),
    required('transport', 'text', 'Transport'),
    required('opened_at', 'timestamp', 'Since when'),
    required('last_seen_at', 'timestamp', 'Last heard'),
    optional('last_method', 'text', 'Last call'),
  ],
});

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

/** `system.describe`, and views of things that a server without a PostgreSQL bridge and a cold tier never has. */
export function emptyViews(): readonly ScanProvider[] {
  return [DESCRIBE, SESSIONS, MANIFEST].map((table) => ({ table, rows: () => [] }));
}
