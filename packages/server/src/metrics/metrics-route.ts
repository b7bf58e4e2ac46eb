import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { isLocal } from '../auth/request-address.ts';
import type { Edge } from '../edge.ts';
import type { RouteTraffic, Traffic } from './traffic.ts';

/** Adds `GET /metrics` in the text format of Prometheus, for this machine only unless `metrics.allow_remote`. */
export function addMetricsRoute(app: FastifyInstance, edge: Edge): void {
  if (!edge.config['metrics.enabled']) return;
  let registry: Registry | undefined;
  app.get('/metrics', async (request, reply) => {
    if (!edge.config['metrics.allow_remote'] && !isLocal(edge, request)) {
      const error = 'Access denied. Metrics are localhost-only.';
      return reply.code(403).header('content-type', 'application/json').send(JSON.stringify({ error }));
    }
    // A server that nobody watches loads nothing for it.
    const { serverMetrics } = await import('./server-metrics.ts');
    registry ??= serverMetrics(edge);
    return reply.header('content-type', registry.contentType).send(await registry.metrics());
  });
}

/**
 * Counts the answers of every route that is added from now on, when they are about to be sent: hearing of the end of a response would
 * cost each request several listeners.
 */
export function countAnswers(app: FastifyInstance, traffic: Traffic): void {
  app.addHook('onRoute', (route) => {
    const methods = typeof route.method === 'string' ? route.method : route.method.join(',');
    const counts: RouteTraffic = traffic.route(`${methods} ${route.url}`);
    const before = route.onSend === undefined ? [] : [route.onSend].flat();
    route.onSend = [
      ...before,
      (_request, reply, payload, done) => {
        counts.count(reply.statusCode);
        done(null, payload);
      },
    ];
  });
}
