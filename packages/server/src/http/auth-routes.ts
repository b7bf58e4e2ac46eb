import type { Account } from '@kalamdb/engine';
import {
  KalamError,
  kalamError,
  type LoginResponse,
  type MeResponse,
  type SetupResponse,
  type SetupStatus,
  type UserInfo,
} from '@kalamdb/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { bearerToken } from '../auth/authenticator.ts';
import { clientAddress } from '../auth/client-address.ts';
import { ACCESS_COOKIE, REFRESH_COOKIE, readCookie, setCookie } from '../auth/cookies.ts';
import type { Edge } from '../edge.ts';
import { isLocal } from './health-routes.ts';
import { asObject, parseBody, type TextField, textFields } from './request-body.ts';
import { isAdmin } from './sql-failure.ts';
import { hasCode } from './sql-routes.ts';

const BODY_BYTES_MAX = 2_097_152;

const USER: TextField = { name: 'user', aliases: ['username'], required: true, charactersMax: 128 };
const PASSWORD: TextField = { name: 'password', required: true, charactersMax: 256 };
const LOGIN_FIELDS: readonly TextField[] = [USER, PASSWORD];
const SETUP_FIELDS: readonly TextField[] = [
  USER,
  PASSWORD,
  { name: 'root_password', required: true, charactersMax: 256 },
  { name: 'email', required: false, charactersMax: 320 },
];

/** Adds login, refresh, logout, me, status and setup (wire-protocol 2.3 to 2.6). */
export function addAuthRoutes(app: FastifyInstance, edge: Edge): void {
  const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => fail(edge, error, { request, reply });
  const options = { errorHandler, bodyLimit: BODY_BYTES_MAX };
  app.post('/v1/api/auth/login', options, (request, reply) => login(edge, request, reply));
  app.post('/v1/api/auth/refresh', options, (request, reply) => refresh(edge, request, reply));
  app.post('/v1/api/auth/logout', options, (request, reply) => logout(edge, request, reply));
  app.get('/v1/api/auth/me', options, (request, reply) => me(edge, request, reply));
  app.get('/v1/api/auth/status', options, (request, reply) => status(edge, request, reply));
  app.post('/v1/api/auth/setup', options, (request, reply) => setup(edge, request, reply));
}

async function login(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const fields = textFields(asObject(parseBody(request.headers['content-type'], request.body)), LOGIN_FIELDS);
  limitAttempts(edge, request);
  const account = await edge.database.accounts.login(fields['user'] ?? '', fields['password'] ?? '');
  return sendTokens(edge, account, { request, reply });
}

async function refresh(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  limitAttempts(edge, request);
  const token = readCookie(request.headers.cookie, REFRESH_COOKIE) ?? bearerToken(request.headers.authorization);
  if (token === undefined) throw kalamError('UNAUTHORIZED', { reason: 'No auth token found' });
  return sendTokens(edge, await edge.authenticator.refresh(token), { request, reply });
}

function logout(edge: Edge, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const options = { expiresAtSeconds: 0, secure: wantsSecure(edge, request) };
  reply.header('set-cookie', [setCookie(ACCESS_COOKIE, '', options), setCookie(REFRESH_COOKIE, '', options)]);
  return send(reply, { message: 'Logged out successfully' });
}

async function me(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const token = bearerToken(request.headers.authorization) ?? readCookie(request.headers.cookie, ACCESS_COOKIE);
  if (token === undefined) throw kalamError('UNAUTHORIZED', { reason: 'No auth token found' });
  const account = await edge.authenticator.account(token);
  const body: MeResponse = { user: userInfo(account), admin_ui_access: isAdmin(account.role) };
  return send(reply, body);
}

function status(edge: Edge, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!isLocal(edge, request)) throw kalamError('LOCAL_ONLY', { reason: 'Setup status can only be checked from localhost' });
  const needsSetup = edge.database.accounts.needsSetup();
  const message = needsSetup
    ? 'Server requires initial setup. Call POST /v1/api/auth/setup with user, password, root_password, and optional email.'
    : 'Server is configured and ready.';
  const body: SetupStatus = { needs_setup: needsSetup, message };
  return send(reply, body);
}

async function setup(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const fields = textFields(asObject(parseBody(request.headers['content-type'], request.body)), SETUP_FIELDS);
  if (!edge.config['auth.allow_remote_setup'] && !isLocal(edge, request)) {
    throw kalamError('LOCAL_ONLY', { reason: 'Server setup can only be performed from localhost' });
  }
  limitAttempts(edge, request);
  const account = await edge.database.accounts.setup({
    user: fields['user'] ?? '',
    password: fields['password'] ?? '',
    rootPassword: fields['root_password'] ?? '',
    email: fields['email'],
  });
  const message = `Server setup complete. Root password configured and DBA user '${account.userId}' created. Please login to continue.`;
  const body: SetupResponse = { user: userInfo(account), message };
  return send(reply, body);
}

/** Both tokens, in the body and as cookies. */
async function sendTokens(edge: Edge, account: Account, { request, reply }: Exchange): Promise<FastifyReply> {
  const access = await edge.tokens.issue(account, 'access');
  const renewal = await edge.tokens.issue(account, 'refresh');
  const secure = wantsSecure(edge, request);
  reply.header('set-cookie', [
    setCookie(ACCESS_COOKIE, access.text, { expiresAtSeconds: access.expiresAtSeconds, secure }),
    setCookie(REFRESH_COOKIE, renewal.text, { expiresAtSeconds: renewal.expiresAtSeconds, secure }),
  ]);
  const body: LoginResponse = {
    user: userInfo(account),
    admin_ui_access: isAdmin(account.role),
    expires_at: secondsText(access.expiresAtSeconds),
    access_token: access.text,
    refresh_token: renewal.text,
    refresh_expires_at: secondsText(renewal.expiresAtSeconds),
  };
  return send(reply, body);
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

function limitAttempts(edge: Edge, request: FastifyRequest): void {
  const address = clientAddress({ peer: request.socket.remoteAddress, headers: request.headers }, edge.proxies);
  if (!edge.loginLimit.allows(address)) throw kalamError('TOO_MANY_LOGINS');
}

/** Cookies are marked Secure when the browser spoke https, to us or to a proxy on the way. */
function wantsSecure(edge: Edge, request: FastifyRequest): boolean {
  return edge.config['auth.cookie_secure'] && (request.protocol === 'https' || request.headers['x-forwarded-proto'] === 'https');
}

function userInfo(account: Account): UserInfo {
  return {
    id: account.userId,
    role: account.role,
    email: account.email ?? null,
    created_at: microsText(account.createdAtMicros),
    updated_at: microsText(account.updatedAtMicros),
  };
}

/** `2026-02-01T10:00:00.123+00:00`. */
function microsText(micros: bigint): string {
  return new Date(Number(micros / 1000n)).toISOString().replace('Z', '+00:00');
}

/** `2026-02-02T10:00:00+00:00`. */
function secondsText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', '+00:00');
}

function send(reply: FastifyReply, body: object): FastifyReply {
  return reply.header('content-type', 'application/json').send(JSON.stringify(body));
}

/** Bodies that cannot be read get a plain text, everything else `{"error", "message"}`. */
function fail(edge: Edge, error: unknown, { reply }: Exchange): void {
  if (hasCode(error, 'FST_ERR_CTP_BODY_TOO_LARGE')) return void text(reply, 413, 'Payload too large');
  if (hasCode(error, 'FST_ERR_CTP_INVALID_MEDIA_TYPE')) return void text(reply, 400, 'Content type error');
  if (error instanceof KalamError && error.code === 'INVALID_INPUT') return void text(reply, 400, error.message);
  if (error instanceof KalamError && error.spec.status !== 500) {
    const code = error.spec.status === 401 && error.code !== 'ACCOUNT_LOCKED' ? 'unauthorized' : error.spec.wire;
    return void send(reply.code(error.spec.status), { error: code, message: error.message });
  }
  edge.log.error({ err: error }, 'an authentication request failed unexpectedly');
  send(reply.code(500), { error: 'internal_error', message: 'Authentication failed' });
}

function text(reply: FastifyReply, code: number, body: string): FastifyReply {
  return reply.code(code).header('content-type', 'text/plain; charset=utf-8').send(body);
}
