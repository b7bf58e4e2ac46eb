import type { Server } from 'node:http';
import cors from '@fastify/cors';
import { kalamError } from '@kalamdb/protocol';
import { type FastifyInstance, fastify } from 'fastify';
import type { Edge } from '../edge.ts';
import { RequestIds } from '../log/request-ids.ts';
import { addMetricsRoute, countAnswers } from '../metrics/metrics-route.ts';
import { NO_ROUTE } from '../metrics/traffic.ts';
import { answerBrokenRequest } from './connections/broken-request.ts';
import { HttpServer } from './connections/http-server.ts';
import type { TlsMaterial } from './connections/tls-files.ts';
import type { HttpHandler } from './http-exchange.ts';
import { clientFault, keepConnection } from './library-errors.ts';
import { allowPrivateNetwork, originRules } from './origin-headers.ts';
import { addAuthRoutes } from './routes/auth-routes.ts';
import { addHealthRoutes } from './routes/health-routes.ts';
import { addSqlRoutes } from './sql/sql-routes.ts';

/** The HTTP side of the server: its routes and what serves them. */
export interface HttpApp {
  readonly routes: FastifyInstance;
  readonly http: HttpServer;
}

/** No route has a schema; the library would load what compiles them, a hundred modules, in any case. */
const noSchemas = (): never => {
  throw kalamError('INTERNAL_ERROR', { reason: 'a route has a schema' });
};

/** Makes the HTTP side of the server, ready to listen. Its log stays silent; the edge's says what is worth saying. */
export async function createHttpApp(edge: Edge, tls: TlsMaterial | undefined): Promise<HttpApp> {
  const { config } = edge;
  const ids = new RequestIds(edge.random);
  let http: HttpServer | undefined;
  const app = fastify({
    logger: false,
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    genReqId: (request) => ids.of(request.headers['x-request-id']),
    bodyLimit: config['rate_limit.request_body_limit_bytes'],
    exposeHeadRoutes: true,
    // The front door refuses what comes while the server stops, in the form that each route has.
    return503OnClosing: false,
    clientErrorHandler: answerBrokenRequest,
    serverFactory(handler) {
      // The library's handler and its types know one version of HTTP at a time; at run time it tells the two apart itself.
      http = new HttpServer(edge, handler as HttpHandler, tls);
      return http.server as Server;
    },
  });
  if (http === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'the HTTP library made no server' });
  app.removeAllContentTypeParsers();
  // The first by its name: looking for the other means to take the type of each request apart.
  app.addContentTypeParser(['application/json', '*'], { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const { origins, credentials, exposed } = originRules(edge);
  if (config['security.cors.allow_private_network']) {
    app.addHook('onRequest', (request, reply, done) => {
      allowPrivateNetwork(request, reply);
      done();
    });
  }
  await app.register(cors, {
    origin: origins === true ? true : [...origins],
    credentials,
    methods: [...config['security.cors.allowed_methods']],
    allowedHeaders: [...config['security.cors.allowed_headers']],
    ...(exposed.length === 0 ? {} : { exposedHeaders: [...exposed] }),
    maxAge: config['security.cors.max_age'],
    optionsSuccessStatus: 200,
  });
  app.addHook('onRequest', (request, reply, done) => {
    if (request.headers['x-request-id'] !== undefined) reply.header('x-request-id', request.id);
    done();
  });
  countAnswers(app, edge.traffic);
  addHealthRoutes(app, edge);
  addMetricsRoute(app, edge);
  addAuthRoutes(app, edge);
  await app.register(async (scope) => addSqlRoutes(scope, edge));
  const unknown = edge.traffic.route(NO_ROUTE);
  app.setNotFoundHandler((request, reply) => {
    unknown.count(404);
    const body = { error: 'not_found', message: `There is no ${request.method} ${request.url.split('?', 1)[0]}` };
    reply.code(404).header('content-type', 'application/json').send(JSON.stringify(body));
  });
  app.setErrorHandler((error, request, reply) => {
    keepConnection(request, reply);
    const fault = clientFault(error);
    if (fault === undefined) edge.log.error({ err: error, request: request.id }, 'a request failed unexpectedly');
    const { status, ...body } =
      fault === undefined ? { status: 500, error: 'internal_error', message: 'Internal server error' } : { error: 'bad_request', ...fault };
    reply.code(status).header('x-request-id', request.id).header('content-type', 'application/json').send(JSON.stringify(body));
  });
  return { routes: app, http };
}
