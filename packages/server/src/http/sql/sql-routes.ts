import type { IncomingMessage } from 'node:http';
import type { Principal } from '@kalamdb/engine';
import { kalamError } from '@kalamdb/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { addressOf } from '../../auth/request-address.ts';
import type { Edge } from '../../edge.ts';
import { bodyTooLarge, SQL_PATHS } from '../front-door.ts';
import { hasCode, keepConnection } from '../library-errors.ts';
import { allowOrigin, originRules } from '../origin-headers.ts';
import { hasPlainBody, readPlainBody } from './plain-body.ts';
import { SqlAnswers } from './sql-answer.ts';
import { failureEnvelope, successEnvelope } from './sql-envelope.ts';
import { isUnexpected, sqlFailure } from './sql-failure.ts';
import { formRequest, readForm, SqlForm } from './sql-form.ts';
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

/** Adds the data routes: SQL under both of its paths, and the reserved ones. Forms are read in this scope only. */
export function addSqlRoutes(app: FastifyInstance, edge: Edge): void {
  app.decorateRequest('principal', undefined);
  app.decorateRequest('startedAt', 0);
  const answers = new SqlAnswers(edge);
  const onRequest = bearerCheck(edge);
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => fail(edge, error, { request, reply });
  const bodyLimit = edge.config['rate_limit.request_body_limit_bytes'];
  app.addContentTypeParser(/^multipart\/form-data/i, (request: FastifyRequest, payload: IncomingMessage) =>
    readForm(payload, request.headers['content-type'] ?? '', bodyLimit),
  );
  const run = (request: FastifyRequest, reply: FastifyReply): void => runSql(edge, answers, { request, reply });
  const hooks = [originCheck(edge), onRequest, plainBodies(edge, run)];
  for (const path of SQL_PATHS) app.post(path, { onRequest: hooks, errorHandler, bodyLimit, config: { cors: false } }, run);
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

/** Comes first, so that pages can read refusals too. */
function originCheck(edge: Edge): onRequestHookHandler {
  const rules = originRules(edge);
  return (request, reply, done) => {
    allowOrigin(rules, request, reply);
    done();
  };
}

/** Requests with a plain body are answered here; the others, forms among them, go on through the stages of the HTTP library. */
function plainBodies(edge: Edge, run: (request: FastifyRequest, reply: FastifyReply) => void): onRequestHookHandler {
  const bytesMax = edge.config['rate_limit.request_body_limit_bytes'];
  return (request, reply, done) => {
    if (!hasPlainBody(request, bytesMax)) {
      done();
      return;
    }
    readPlainBody(request, (error, body) => {
      if (error !== undefined) {
        done(error);
        return;
      }
      request.body = body;
      try {
        run(request, reply);
      } catch (failure) {
        reply.send(failure);
      }
    });
  };
}

/** Answers by callbacks: the promise of a handler would take another three turns of the microtask queue. */
function runSql(edge: Edge, answers: SqlAnswers, { request, reply }: Exchange): void {
  const { principal, headers, body } = request;
  if (principal === undefined) throw kalamError('NO_TOKEN');
  const { sql, parameters, namespace, namesCommits, atLeast } =
    body instanceof SqlForm ? formRequest(body) : readSqlRequest(headers['content-type'], body);
  let gone: AbortSignal | undefined;
  const session = edge.database.session(principal, {
    namespace,
    namesCommits,
    requestId: request.id,
    clientAddress: addressOf(edge, request),
    signal: () => {
      gone ??= goneSignal(reply);
      return gone;
    },
  });
  const reached = atLeast === undefined ? undefined : edge.database.commitWait.reached(atLeast);
  const answer = reached === undefined ? session.answer(sql, parameters) : reached.then(() => session.answer(sql, parameters));
  answer
    .then((results) => {
      const tookMillis = (): number => edge.clock.elapsed() - request.startedAt;
      const sent = answers.send(reply, successEnvelope(results, { caller: principal.userId, tookMillis }));
      // A reply is a thenable: it must not come out of here.
      return sent instanceof Promise ? sent.then(() => undefined) : undefined;
    })
    .catch((error: unknown) => reply.send(error));
}

/** Aborted when the connection is gone. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (raw.destroyed) gone.abort(kalamError('CLIENT_GONE'));
  else raw.once('close', () => gone.abort(kalamError('CLIENT_GONE')));
  return gone.signal;
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

function fail(edge: Edge, error: unknown, { request, reply }: Exchange): void {
  if (hasCode(error, 'FST_ERR_CTP_BODY_TOO_LARGE')) {
    const max = edge.config['rate_limit.request_body_limit_bytes'];
    const { status, body } = bodyTooLarge(Number(request.headers['content-length'] ?? max + 1), max);
    keepConnection(request, reply);
    reply.code(status).header('content-type', 'application/json').send(body);
    return;
  }
  const invalid = hasCode(error, 'FST_ERR_CTP_INVALID_MEDIA_TYPE') || hasCode(error, 'FST_ERR_CTP_INVALID_CONTENT_LENGTH');
  const shown = invalid ? kalamError('INVALID_INPUT', { reason: 'Invalid JSON payload: Content type error' }) : error;
  if (isUnexpected(shown)) edge.log.error({ err: shown, request: request.id }, 'a SQL request failed unexpectedly');
  const failure = sqlFailure(shown, request.principal?.role);
  const tookMillis = edge.clock.elapsed() - request.startedAt;
  reply.code(failure.status).header('content-type', 'application/json').send(failureEnvelope(failure, tookMillis));
}
