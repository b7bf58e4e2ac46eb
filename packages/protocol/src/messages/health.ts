import { Type } from 'typebox';
import { type MessageSchema, messageSchema, oneOf } from './message-schema.ts';

/** Answer of `GET /health` and `GET /v1/api/healthcheck`. */
export interface HealthResponse {
  readonly status: string;
  readonly api_version: string;
  readonly version?: string;
  readonly build_date?: string;
}

/** Schema of {@link HealthResponse}. */
export const healthResponseSchema: MessageSchema<HealthResponse> = messageSchema<HealthResponse>()(
  Type.Object({
    status: Type.String(),
    api_version: Type.String(),
    version: Type.Optional(Type.String()),
    build_date: Type.Optional(Type.String()),
  }),
);

/** One server of a cluster. */
export interface ClusterNode {
  readonly node_id: number;
  readonly role: 'leader' | 'follower' | 'learner' | 'candidate';
  readonly status: 'active' | 'offline' | 'joining' | 'catching_up' | 'unknown';
  readonly api_addr: string;
  readonly is_self: boolean;
  readonly is_leader: boolean;
  readonly replication_lag?: number | null;
  readonly catchup_progress_pct?: number | null;
  readonly hostname?: string | null;
  readonly memory_usage_mb?: number | null;
  readonly cpu_usage_percent?: number | null;
  readonly uptime_seconds?: number | null;
  readonly uptime_human?: string | null;
}

const optionalNumber = Type.Optional(Type.Union([Type.Number(), Type.Null()]));
const optionalText = Type.Optional(Type.Union([Type.String(), Type.Null()]));

/** Schema of {@link ClusterNode}. */
export const clusterNodeSchema: MessageSchema<ClusterNode> = messageSchema<ClusterNode>()(
  Type.Object({
    node_id: Type.Integer(),
    role: oneOf('leader', 'follower', 'learner', 'candidate'),
    status: oneOf('active', 'offline', 'joining', 'catching_up', 'unknown'),
    api_addr: Type.String(),
    is_self: Type.Boolean(),
    is_leader: Type.Boolean(),
    replication_lag: optionalNumber,
    catchup_progress_pct: optionalNumber,
    hostname: optionalText,
    memory_usage_mb: optionalNumber,
    cpu_usage_percent: optionalNumber,
    uptime_seconds: optionalNumber,
    uptime_human: optionalText,
  }),
);

/** Answer of `GET /v1/api/cluster/health`. A single server says it is a cluster of one. */
export interface ClusterHealthResponse {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly is_cluster_mode: boolean;
  readonly node_id: number;
  readonly is_leader: boolean;
  readonly total_groups: number;
  readonly groups_leading: number;
  readonly current_term: number;
  readonly version?: string | null;
  readonly build_date?: string | null;
  readonly cluster_id?: string | null;
  readonly last_applied?: number | null;
  readonly millis_since_quorum_ack?: number | null;
  readonly nodes?: readonly ClusterNode[] | null;
}

/** Schema of {@link ClusterHealthResponse}. */
export const clusterHealthResponseSchema: MessageSchema<ClusterHealthResponse> = messageSchema<ClusterHealthResponse>()(
  Type.Object({
    status: oneOf('healthy', 'degraded', 'unhealthy'),
    is_cluster_mode: Type.Boolean(),
    node_id: Type.Integer(),
    is_leader: Type.Boolean(),
    total_groups: Type.Integer(),
    groups_leading: Type.Integer(),
    current_term: Type.Integer(),
    version: optionalText,
    build_date: optionalText,
    cluster_id: optionalText,
    last_applied: optionalNumber,
    millis_since_quorum_ack: optionalNumber,
    nodes: Type.Optional(Type.Union([Type.Array(clusterNodeSchema), Type.Null()])),
  }),
);

/** Answer of a route that only the server's own machine may use. */
export interface LocalOnlyResponse {
  readonly error: string;
}

/** Schema of {@link LocalOnlyResponse}. */
export const localOnlyResponseSchema: MessageSchema<LocalOnlyResponse> = messageSchema<LocalOnlyResponse>()(
  Type.Object({ error: Type.String() }),
);
