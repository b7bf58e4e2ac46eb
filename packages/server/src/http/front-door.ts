import { kalamError } from '@kalamdb/protocol';
import type { Edge } from '../edge.ts';
import type { ConnectionProtection } from './connections/connection-protection.ts';
import { type HttpHandler, type HttpRequest, type HttpResponse, type PlainAnswer, sendPlain } from './http-exchange.ts';
import { allowOrigin, originRules } from './origin-headers.ts';
import { failureEnvelope } from './sql/sql-envelope.ts';
import { sqlFailure } from './sql/sql-failure.ts';

/** The paths of SQL, whose failures come in the SQL envelope. */
export const SQL_PATHS: ReadonlySet<string> = new Set(['/v1/api/sql', '/api/sql']);

/** Health is told to the end. */
const HEALTH = /^\/health(?:\/|$)/;

/** What stands before the routes. */
export interface FrontDoorOptions {
  readonly edge: Edge;
  /** `undefined`: addresses are not limited. */
  readonly protection: ConnectionProtection | undefined;
  /** The routes. */
  readonly handler: HttpHandler;
}

/**
 * What is decided before any route sees a request, for every route alike: nothing new while the server stops, the limits of its
 * address, and the largest body that is taken at all (wire-protocol 1.6). Pages can read its refusals as they can any answer.
 */
export function frontDoor({ edge, protection, handler }: FrontDoorOptions): HttpHandler {
  const bytesMax = edge.config['rate_limit.request_body_limit_bytes'];
  const rules = originRules(edge);
  const refuse = (request: HttpRequest, response: HttpResponse, answer: PlainAnswer): void => {
    const headers: Record<string, string> = { ...answer.headers };
    allowOrigin(rules, request, { header: (name, value) => Object.assign(headers, { [name]: value }) });
    sendPlain(request, response, { ...answer, headers });
  };
  return (request, response) => {
    if (edge.stopping.aborted && !HEALTH.test(request.url ?? '')) {
      refuse(request, response, stopping(request));
      return;
    }
    const length = request.headers['content-length'];
    if (length !== undefined && Number(length) > bytesMax) {
      protection?.noteViolation(request);
      refuse(request, response, bodyTooLarge(Number(length), bytesMax));
      return;
    }
    if (protection !== undefined) {
      const admission = protection.admit(request);
      if (admission.refusal !== undefined) {
        edge.traffic.refused('address');
        refuse(request, response, admission.refusal);
        return;
      }
      if (admission.release !== undefined) response.once('close', admission.release);
    }
    handler(request, response);
  };
}

/** The answer to a body of so many bytes, which are more than may be sent. */
export function bodyTooLarge(sizeBytes: number, maxBytes: number): PlainAnswer {
  const message = `Request body too large. Maximum size is ${maxBytes} bytes.`;
  const body = { error: 'BODY_TOO_LARGE', message, size_bytes: sizeBytes, max_bytes: maxBytes };
  return { status: 413, headers: {}, body: JSON.stringify(body) };
}

function stopping(request: HttpRequest): PlainAnswer {
  const error = kalamError('SHUTTING_DOWN');
  const path = request.url?.split('?', 1)[0] ?? '';
  const body = SQL_PATHS.has(path)
    ? failureEnvelope(sqlFailure(error, undefined), 0)
    : JSON.stringify({ error: 'shutting_down', message: error.message });
  return { status: 503, headers: request.httpVersionMajor === 1 ? { connection: 'close' } : {}, body };
}
