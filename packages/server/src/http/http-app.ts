import cors from '@fastify/cors';
import { type FastifyInstance, fastify } from 'fastify';
import type { Edge } from '../edge.ts';
import { addAuthRoutes } from './auth-routes.ts';
import { addHealthRoutes } from './health-routes.ts';
import { addSqlRoutes } from './sql-routes.ts';

/** Longest time a client may take to send one request, headers and body. */
const REQUEST_TIMEOUT_MILLIS = 30_000;

/** Makes the HTTP side of the server, ready to listen. Its log stays silent; the edge's says what is worth saying. */
export async function createHttpApp(edge: Edge): Promise<FastifyInstance> {
  const { config } = edge;
  const app = fastify({
    logger: false,
    keepAliveTimeout: config['performance.keepalive_timeout'] * 1000,
    requestTimeout: REQUEST_TIMEOUT_MILLIS,
    bodyLimit: config['rate_limit.request_body_limit_bytes'],
    exposeHeadRoutes: false,
    return503OnClosing: true,
    http: { noDelay: true },
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const origins = config['security.cors.allowed_origins'];
  await app.register(cors, {
    origin: origins.length === 0 || origins.includes('*') ? true : [...origins],
    credentials: config['security.cors.allow_credentials'],
    methods: [...config['security.cors.allowed_methods']],
    allowedHeaders: [...config['security.cors.allowed_headers']],
    maxAge: config['security.cors.max_age'],
    optionsSuccessStatus: 200,
  });
  addHealthRoutes(app, edge);
  addAuthRoutes(app, edge);
  addSqlRoutes(app, edge);
  app.setNotFoundHandler((request, reply) => {
    const body = { error: 'not_found', message: `There is no ${request.method} ${request.url.split('?', 1)[0]}` };
    reply.code(404).header('content-type', 'application/json').send(JSON.stringify(body));
  });
  app.setErrorHandler((error, _request, reply) => {
    edge.log.error({ err: error }, 'a request failed unexpectedly');
    const body = { error: 'internal_error', message: 'Internal server error' };
    reply.code(500).header('content-type', 'application/json').send(JSON.stringify(body));
  });
  return app;
}
