import type { Principal } from '@kalamdb/engine';
import { kalamError } from '@kalamdb/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { clientAddress } from '../auth/client-address.ts';
import type { Edge } from '../edge.ts';
import { failureEnvelope, successEnvelope } from './sql-envelope.ts';
import { isUnexpected, sqlFailure } from './sql-failure.ts';
import { readSqlRequest } from './sql-request.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the bearer check of data routes. */
    principal: Principal | undefined;
    /** When the request arrived, on the clock's `elapsed` scale. */
    startedAt: number;
  }
}

/** Routes whose features come later: they check the token like every data route and then say so. */
const RESERVED_ROUTES = [
  ['POST', '/v1/api/topics/consume', 'topic consumption'],
  ['POST', '/v1/api/topics/ack', 'topic acknowledgment'],
  ['GET', '/v1/files/*', 'file download'],
  ['GET', '/v1/exports/*', 'export download'],
] as const;

/** Adds the data routes: SQL under both of its paths, and the reserved ones. */
export function addSqlRoutes(app: FastifyInstance, edge: Edge): void {
  app.decorateRequest('principal', undefined);
  app.decorateRequest('startedAt', 0);
  const onRequest = bearerCheck(edge);
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => fail(edge, error, { request, reply });
  const bodyLimit = edge.config['rate_limit.request_body_limit_bytes'];
  for (const path of ['/v1/api/sql', '/api/sql']) {
    app.post(path, { onRequest, errorHandler, bodyLimit }, (request, reply) => runSql(edge, request, reply));
  }
  for (const [method, url, what] of RESERVED_ROUTES) {
    app.route({ method, url, onRequest, errorHandler, handler: () => Promise.reject(kalamError('NOT_IMPLEMENTED', { what })) });
  }
}

/** Runs before the body is read, so that nobody unknown can make the server hold a large one. */
function bearerCheck(edge: Edge): onRequestHookHandler {
  const admit = (request: FastifyRequest, principal: Principal): void => {
    request.principal = principal;
    if (!edge.queryLimit.allows(principal.userId)) throw kalamError('TOO_MANY_QUERIES');
  };
  return (request, _reply, done) => {
    request.startedAt = edge.clock.elapsed();
    let principal: Principal | Promise<Principal>;
    try {
      principal = edge.authenticator.bearer(request.headers.authorization);
      if (!(principal instanceof Promise)) admit(request, principal);
    } catch (error) {
      done(error as Error);
      return;
    }
    if (principal instanceof Promise) principal.then((found) => admit(request, found)).then(() => done(), done);
    else done();
  };
}

async function runSql(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { principal, headers } = request;
  if (principal === undefined) throw kalamError('NO_TOKEN');
  const { sql, parameters, namespace } = readSqlRequest(headers['content-type'], request.body);
  const requestId = headers['x-request-id'];
  const session = edge.database.session(principal, {
    namespace,
    requestId: typeof requestId === 'string' ? requestId : undefined,
    clientAddress: clientAddress({ peer: request.socket.remoteAddress, headers }, edge.proxies),
  });
  const results = await session.execute(sql, parameters);
  const tookMillis = edge.clock.elapsed() - request.startedAt;
  return reply.header('content-type', 'application/json').send(successEnvelope(results, { caller: principal.userId, tookMillis }));
}

function fail(edge: Edge, error: unknown, { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply }): void {
  if (hasCode(error, 'FST_ERR_CTP_BODY_TOO_LARGE')) {
    const max = edge.config['rate_limit.request_body_limit_bytes'];
    const size = Number(request.headers['content-length'] ?? 0);
    const message = `Request body too large. Maximum size is ${max} bytes.`;
    reply.code(413).header('content-type', 'application/json');
    reply.send(JSON.stringify({ error: 'BODY_TOO_LARGE', message, size_bytes: size, max_bytes: max }));
    return;
  }
  const invalid = hasCode(error, 'FST_ERR_CTP_INVALID_MEDIA_TYPE') || hasCode(error, 'FST_ERR_CTP_INVALID_CONTENT_LENGTH');
  const shown = invalid ? kalamError('INVALID_INPUT', { reason: 'Invalid JSON payload: Content type error' }) : error;
  if (isUnexpected(shown)) edge.log.error({ err: shown }, 'a SQL request failed unexpectedly');
  const failure = sqlFailure(shown, request.principal?.role);
  const tookMillis = edge.clock.elapsed() - request.startedAt;
  reply.code(failure.status).header('content-type', 'application/json').send(failureEnvelope(failure, tookMillis));
}

/** Whether an error is one of the HTTP library's own. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
