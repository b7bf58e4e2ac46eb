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
  readonly state: 'loading' | 'behind' | 'live';
  readonly rowsDelivered: bigint;
  readonly windowRows: bigint | undefined;
  readonly toldSeq: bigint | undefined;
  /** How long ago the newest commit was made that the client was not told of, at least; 0n when there is none. */
  readonly lagMillis: bigint;
  readonly bytesQueued: bigint;
}

const LIVE_STATE: Table = systemTable({
  id: 109,
  name: 'live_state',
  comment: 'How far the clients of live queries are',
  columns: [
    key('live_id', 'text', 'As in system.live'),
    required('state', 'text', 'loading, behind or live'),
    optional('window_rows', 'bigint', 'LIMIT of the query'),
    optional('told_seq', 'bigint', 'Every change up to it was told to the client or means nothing to it; NULL while it loads'),
    required('lag_ms', 'bigint', 'How far in time the client is behind the newest commit'),
    required('bytes_queued', 'bigint', 'Bytes that wait for the client, for all its live queries'),
    required('rows_delivered', 'bigint', 'Rows sent in batches and changes'),
  ],
});

/** `system.live` (catalog B5), in the order of its key. */
export function liveView(nodeId: number, source: () => Iterable<LiveQueryRecord>): ScanProvider {
  const node = BigInt(nodeId);
  return {
    table: LIVE,
    rows: () =>
      inKeyOrder(source()).map(({ liveId, record }) =>
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

/** `system.live_state`: what `system.live` has no columns for, whose `SELECT *` is that of the original. */
export function liveStateView(source: () => Iterable<LiveQueryRecord>): ScanProvider {
  return {
    table: LIVE_STATE,
    rows: () =>
      inKeyOrder(source()).map(({ liveId, record }) => {
        const { state, windowRows = null, toldSeq = null, lagMillis, bytesQueued, rowsDelivered } = record;
        return computedRow([liveId, state, windowRows, toldSeq, lagMillis, bytesQueued, rowsDelivered]);
      }),
  };
}

function inKeyOrder(records: Iterable<LiveQueryRecord>): readonly { readonly liveId: string; readonly record: LiveQueryRecord }[] {
  return [...records]
    .map((record) => ({ record, liveId: `${record.userId}-${record.connectionId}-${record.subscriptionId}` }))
    .sort((a, b) => compareText(a.liveId, b.liveId));
}
