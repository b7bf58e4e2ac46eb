import type { ScanProvider } from '../catalog.ts';
import { optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const CLUSTER: Table = systemTable({
  id: 113,
  name: 'cluster',
  comment: 'The servers of the cluster: this one',
  columns: [
    required('cluster_id', 'text', 'Cluster'),
    required('node_id', 'bigint', 'Server'),
    required('role', 'text', 'leader'),
    required('status', 'text', 'active'),
    required('rpc_addr', 'text', 'Address for other servers; empty: none'),
    required('api_addr', 'text', 'Address for clients'),
    required('is_self', 'boolean', 'Whether it is the one that answers'),
    required('is_leader', 'boolean', 'Whether it takes writes'),
    required('groups_leading', 'int', 'Groups that it leads'),
    required('total_groups', 'int', 'Groups'),
    optional('current_term', 'bigint', 'Term'),
    optional('last_applied_log', 'bigint', 'Newest commit in the hot tier'),
    optional('leader_last_log_index', 'bigint', 'Newest commit'),
    optional('snapshot_index', 'bigint', 'Snapshot'),
    optional('catchup_progress_pct', 'smallint', 'Progress of catching up'),
    optional('replication_lag', 'bigint', 'Commits behind the leader'),
    optional('hostname', 'text', 'Machine'),
    optional('version', 'text', 'Release'),
    optional('memory_mb', 'bigint', 'Memory of the machine'),
    optional('memory_usage_mb', 'bigint', 'Memory of the process'),
    optional('cpu_usage_percent', 'float', 'Share of one core since the start'),
    optional('uptime_seconds', 'bigint', 'Since the start'),
    optional('uptime_human', 'text', 'The same in words'),
    optional('os', 'text', 'Operating system'),
    optional('arch', 'text', 'Processor'),
  ],
});

const CLUSTER_GROUPS: Table = systemTable({
  id: 114,
  name: 'cluster_groups',
  comment: 'Groups of the consensus layer: a single server has one of each type',
  columns: [
    required('group_id', 'bigint', 'Group'),
    required('cluster_id', 'text', 'Cluster'),
    required('node_id', 'bigint', 'Server'),
    required('group_type', 'text', 'meta, user_data or shared_data'),
    optional('current_term', 'bigint', 'Term'),
    optional('vote', 'json', 'Vote'),
    optional('last_log_index', 'bigint', 'Newest entry'),
    optional('last_applied', 'bigint', 'Newest applied entry'),
    optional('snapshot', 'bigint', 'Newest entry in the snapshot'),
    optional('purged', 'bigint', 'Newest entry that is gone'),
    optional('committed', 'bigint', 'Newest committed entry'),
    optional('state', 'text', 'Leader'),
    optional('current_leader', 'bigint', 'Leader'),
    optional('millis_since_quorum_ack', 'bigint', 'Since the last word of a majority'),
  ],
});

/** Types of groups, with the ids that the original gives the first of each. */
const GROUPS = [
  ['meta', 10n],
  ['user_data', 100n],
  ['shared_data', 200n],
] as const;

const CLUSTER_ID = 'standalone';

/** The server, as the views of the cluster show it. */
export interface ServerNode {
  readonly apiAddress: string;
  readonly hostname: string;
  readonly version: string;
  readonly machineMemoryMb: number;
  readonly memoryUsageMb: number;
  readonly cpuPercent: number;
  readonly uptimeSeconds: number;
  /** As in `1h 2m 3s`. */
  readonly uptime: string;
  readonly platform: string;
  readonly arch: string;
}

/** `system.cluster` and `system.cluster_groups` (catalog B6) of a server that stands alone. No row of the first without a server. */
export function clusterViews(nodeId: number, server: () => ServerNode | undefined): readonly ScanProvider[] {
  const node = BigInt(nodeId);
  return [
    {
      table: CLUSTER,
      rows: () => {
        const found = server();
        if (found === undefined) return [];
        const whole = (value: number): bigint => BigInt(Math.trunc(value));
        const place = [CLUSTER_ID, node, 'leader', 'active', '', found.apiAddress, true, true, GROUPS.length, GROUPS.length];
        const log = [1n, null, null, null, null, null];
        const machine = [found.hostname, found.version, whole(found.machineMemoryMb), whole(found.memoryUsageMb), found.cpuPercent];
        return [computedRow([...place, ...log, ...machine, whole(found.uptimeSeconds), found.uptime, found.platform, found.arch])];
      },
    },
    {
      table: CLUSTER_GROUPS,
      rows: () =>
        GROUPS.map(([type, id]) => computedRow([id, CLUSTER_ID, node, type, 1n, null, null, null, null, null, null, 'Leader', node, 0n])),
    },
  ];
}
