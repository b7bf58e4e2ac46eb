import type { ScanProvider } from '../catalog.ts';
import { optional, required, systemTable } from '../system-tables/system-table.ts';
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

/** `system.describe`, and a view of things that a server without a PostgreSQL bridge never has. */
export function emptyViews(): readonly ScanProvider[] {
  return [DESCRIBE, SESSIONS].map((table) => ({ table, rows: () => [] }));
}
