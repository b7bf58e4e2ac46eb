import { KalamError, kalamError } from '@kalamdb/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerToken } from '../../auth/authenticator.ts';
import { ACCESS_COOKIE, REFRESH_COOKIE, readCookie } from '../../auth/cookies.ts';
import type { Edge } from '../../edge.ts';
import { hasCode, keepConnection } from '../library-errors.ts';

const BODY_BYTES_MAX = 2_097_152;

/** A request and its answer. */
export interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** What the routes below `/v1/api/auth` have in common. */
export interface AuthRouteOptions {
  readonly errorHandler: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;
  readonly bodyLimit: number;
}

/** Their bound on bodies and their form of errors. */
export function authRouteOptions(edge: Edge): AuthRouteOptions {
  return { errorHandler: (error, request, reply) => fail(edge, error, { request, reply }), bodyLimit: BODY_BYTES_MAX };
}

/** The token of the header, else of the cookie. Throws UNAUTHORIZED when there is none. */
export function accessToken(edge: Edge, request: FastifyRequest): string {
  return known(bearerToken(request.headers.authorization) ?? cookieOf(edge, request, ACCESS_COOKIE));
}

/** The token of the cookie, else of the header (wire-protocol 2.4). Throws as {@link accessToken}. */
export function refreshToken(edge: Edge, request: FastifyRequest): string {
  return known(cookieOf(edge, request, REFRESH_COOKIE) ?? bearerToken(request.headers.authorization));
}

function known(token: string | undefined): string {
  if (token === undefined) throw kalamError('UNAUTHORIZED', { reason: 'No auth token found' });
  return token;
}

/** A cookie says who is asked for, not who asks: that of a page which may not act for its reader is not looked at. */
function cookieOf({ origins }: Edge, { headers, host }: FastifyRequest, name: string): string | undefined {
  return origins.believesCookies(headers.origin, host) ? readCookie(headers.cookie, name) : undefined;
}

/** `2026-02-01T10:00:00.123+00:00`. */
export function microsText(micros: bigint): string {
  return new Date(Number(micros / 1000n)).toISOString().replace('Z', '+00:00');
}

/** Answers with JSON. */
export function send(reply: FastifyReply, body: object): FastifyReply {
  return reply.header('content-type', 'application/json').send(JSON.stringify(body));
}

/** Bodies that cannot be read get a plain text, everything else `{"error", "message"}`. */
function fail(edge: Edge, error: unknown, { request, reply }: Exchange): void {
  keepConnection(request, reply);
  if (hasCode(error, 'FST_ERR_CTP_BODY_TOO_LARGE')) return void text(reply, 413, 'Payload too large');
  if (hasCode(error, 'FST_ERR_CTP_INVALID_MEDIA_TYPE')) return void text(reply, 400, 'Content type error');
  if (error instanceof KalamError && error.code === 'INVALID_INPUT') return void text(reply, 400, error.message);
  if (error instanceof KalamError && error.spec.status !== 500) {
    const code = error.spec.status === 401 && error.code !== 'ACCOUNT_LOCKED' ? 'unauthorized' : error.spec.wire;
    return void send(reply.code(error.spec.status), { error: code, message: error.message });
  }
  edge.log.error({ err: error, request: request.id }, 'an authentication request failed unexpectedly');
  send(reply.code(500), { error: 'internal_error', message: 'Authentication failed' });
}

function text(reply: FastifyReply, code: number, body: string): FastifyReply {
  return reply.code(code).header('content-type', 'text/plain; charset=utf-8').send(body);
}
