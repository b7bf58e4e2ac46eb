import { compareText } from '@kalamdb/protocol';
import type { ScanProvider } from '../catalog.ts';
import { key, optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const LIVE: Table = systemTable({
  id: 105,
  name: 'live',
  comment: 'The live queries that are running',
  columns: [
    key('live_id', 'text', 'user-connection-subscription'),
    required('connection_id', 'text', 'Connection'),
    required('subscription_id', 'text', 'Id chosen by the client'),
    required('namespace_id', 'text', 'Namespace of the table'),
    required('table_name', 'text', 'Table'),
    required('user_id', 'text', 'Who subscribed'),
    required('query', 'text', 'The query'),
    optional('options', 'json', 'Options of the subscription'),
    required('status', 'text', 'Always active'),
    required('created_at', 'timestamp', 'When it was subscribed'),
    required('last_update', 'timestamp', 'When it last sent a change'),
    required('changes', 'bigint', 'Changes sent'),
    required('node_id', 'bigint', 'Node'),
    required('last_ping_at', 'timestamp', 'When the connection was last heard'),
  ],
});

/** One running subscription. */
export interface LiveQueryRecord {
  readonly connectionId: string;
  readonly subscriptionId: string;
  readonly namespace: string;
  readonly table: string;
  readonly userId: string;
  readonly query: string;
  /** JSON object text. */
  readonly options: string | undefined;
  readonly createdAtMicros: bigint;
  readonly lastUpdateMicros: bigint;
  readonly changes: bigint;
  readonly lastPingMicros: bigint;
}

/** `system.live` (catalog B5), in the order of its key. */
export function liveView(nodeId: number, source: () => Iterable<LiveQueryRecord>): ScanProvider {
  const node = BigInt(nodeId);
  return {
    table: LIVE,
    rows: () =>
      [...source()]
        .map((record) => ({ record, liveId: `${record.userId}-${record.connectionId}-${record.subscriptionId}` }))
        .sort((a, b) => compareText(a.liveId, b.liveId))
        .map(({ record, liveId }) =>
          computedRow([
            liveId,
            record.connectionId,
            record.subscriptionId,
            record.namespace,
            record.table,
            record.userId,
            record.query,
            record.options ?? null,
            'active',
            record.createdAtMicros,
            record.lastUpdateMicros,
            record.changes,
            node,
            record.lastPingMicros,
          ]),
        ),
  };
}
