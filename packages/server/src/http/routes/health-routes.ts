import { hostname } from 'node:os';
import type { ClusterHealthResponse, ClusterNode, HealthResponse } from '@kalamdb/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isLocal } from '../../auth/request-address.ts';
import type { Edge } from '../../edge.ts';
import { humanDuration } from '../../metrics/human-duration.ts';
import { API_VERSION, buildDate, VERSION } from '../../version.ts';

/** Groups of the original's consensus layer that a single server reports. */
const GROUPS = 3;
const NODE_ID = 1;

/** Adds the health routes, which answer this machine only (wire-protocol 1.3 to 1.5). */
export function addHealthRoutes(app: FastifyInstance, edge: Edge): void {
  const health = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (!isLocal(edge, request)) return refuse(reply, 'Access denied. Health endpoint is localhost-only.');
    const trouble = notReady(edge);
    const about = { version: VERSION, api_version: API_VERSION, build_date: buildDate() };
    if (trouble !== undefined) return send(reply.code(503), { status: 'unhealthy', ...about, reason: trouble });
    const body: HealthResponse = { status: 'healthy', ...about };
    return send(reply, body);
  };
  app.get('/health/ready', health);
  // That it is answered is the answer: the event loop turns.
  app.get('/health/live', (request, reply) => {
    if (!isLocal(edge, request)) return refuse(reply, 'Access denied. Health endpoint is localhost-only.');
    return send(reply, { status: 'alive' });
  });
  app.get('/health', health);
  app.get('/v1/api/healthcheck', health);
  app.get('/v1/api/cluster/health', (request, reply) => {
    if (!isLocal(edge, request)) return refuse(reply, 'Access denied. Cluster health is localhost-only.');
    return send(reply, clusterHealth(edge, request.headers.host ?? ''));
  });
}

/** Why requests should go elsewhere, or the server be started again; `undefined` when it is ready. */
function notReady({ stopping, database }: Edge): string | undefined {
  return stopping.aborted ? 'the server is stopping' : database.trouble();
}

function clusterHealth(edge: Edge, host: string): ClusterHealthResponse {
  const uptimeSeconds = Math.max(0, Math.floor((edge.clock.now() - edge.database.status().startedAtMillis) / 1000));
  const node: ClusterNode = {
    node_id: NODE_ID,
    role: 'leader',
    status: 'active',
    api_addr: host,
    is_self: true,
    is_leader: true,
    replication_lag: null,
    catchup_progress_pct: null,
    hostname: hostname(),
    memory_usage_mb: Math.round(process.memoryUsage.rss() / 1_048_576),
    cpu_usage_percent: null,
    uptime_seconds: uptimeSeconds,
    uptime_human: humanDuration(uptimeSeconds),
  };
  return {
    status: 'healthy',
    version: VERSION,
    build_date: buildDate(),
    is_cluster_mode: false,
    cluster_id: 'standalone',
    node_id: NODE_ID,
    is_leader: true,
    total_groups: GROUPS,
    groups_leading: GROUPS,
    current_term: 1,
    last_applied: null,
    millis_since_quorum_ack: 0,
    nodes: [node],
  };
}

function refuse(reply: FastifyReply, error: string): FastifyReply {
  return send(reply.code(403), { error });
}

/** Health is of this moment: nothing in between may answer with what it was. */
function send(reply: FastifyReply, body: object): FastifyReply {
  return reply.header('content-type', 'application/json').header('cache-control', 'no-store').send(JSON.stringify(body));
}
