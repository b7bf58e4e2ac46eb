import { type Account, isAdmin } from '@kalamdb/engine';
import { kalamError, type LoginResponse, type MeResponse, type SetupResponse, type SetupStatus, type UserInfo } from '@kalamdb/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { networkOf } from '../../auth/client-address.ts';
import { ACCESS_COOKIE, REFRESH_COOKIE, setCookie } from '../../auth/cookies.ts';
import { addressOf, isLocal } from '../../auth/request-address.ts';
import type { Edge } from '../../edge.ts';
import { asObject, parseBody, type TextField, textFields } from '../request-body.ts';
import { accessToken, authRouteOptions, type Exchange, microsText, refreshToken, send } from './auth-exchange.ts';
import { addTokenRoutes } from './token-routes.ts';

const USER: TextField = { name: 'user', aliases: ['username'], required: true, charactersMax: 128 };
const PASSWORD: TextField = { name: 'password', required: true, charactersMax: 256 };
const LOGIN_FIELDS: readonly TextField[] = [USER, PASSWORD];
const SETUP_FIELDS: readonly TextField[] = [
  USER,
  PASSWORD,
  { name: 'root_password', required: true, charactersMax: 256 },
  { name: 'email', required: false, charactersMax: 320 },
];
const PASSWORD_FIELDS: readonly TextField[] = [
  { name: 'current_password', required: true, charactersMax: 256 },
  { name: 'new_password', required: true, charactersMax: 1024 },
];

/** Adds login, refresh, logout, me, status and setup (wire-protocol 2.3 to 2.6), the change of an own password, and API tokens. */
export function addAuthRoutes(app: FastifyInstance, edge: Edge): void {
  const options = authRouteOptions(edge);
  app.post('/v1/api/auth/login', options, (request, reply) => login(edge, request, reply));
  app.post('/v1/api/auth/refresh', options, (request, reply) => refresh(edge, request, reply));
  app.post('/v1/api/auth/logout', options, (request, reply) => logout(edge, request, reply));
  app.get('/v1/api/auth/me', options, (request, reply) => me(edge, request, reply));
  app.get('/v1/api/auth/status', options, (request, reply) => status(edge, request, reply));
  app.post('/v1/api/auth/setup', options, (request, reply) => setup(edge, request, reply));
  app.post('/v1/api/auth/password', options, (request, reply) => changePassword(edge, request, reply));
  addTokenRoutes(app, edge, options);
}

async function login(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const fields = textFields(asObject(parseBody(request.headers['content-type'], request.body)), LOGIN_FIELDS);
  limitAttempts(edge, request);
  const origin = { address: addressOf(edge, request), remote: !isLocal(edge, request) };
  const account = await edge.database.accounts.login(fields['user'] ?? '', fields['password'] ?? '', origin);
  return sendTokens(edge, account, { request, reply });
}

async function refresh(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  limitAttempts(edge, request);
  const account = await edge.authenticator.refresh(refreshToken(edge, request));
  return sendTokens(edge, account, { request, reply });
}

function logout(edge: Edge, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const options = { expiresAtSeconds: 0, secure: wantsSecure(edge, request) };
  reply.header('set-cookie', [setCookie(ACCESS_COOKIE, '', options), setCookie(REFRESH_COOKIE, '', options)]);
  return send(reply, { message: 'Logged out successfully' });
}

async function me(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const account = await edge.authenticator.account(accessToken(edge, request));
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
  const wanted = {
    user: fields['user'] ?? '',
    password: fields['password'] ?? '',
    rootPassword: fields['root_password'] ?? '',
    email: fields['email'],
  };
  const account = await edge.database.accounts.setup(wanted, { address: addressOf(edge, request) });
  const message = `Server setup complete. Root password configured and DBA user '${account.userId}' created. Please login to continue.`;
  const body: SetupResponse = { user: userInfo(account), message };
  return send(reply, body);
}

/** Gives the caller another password, and new tokens: refresh tokens that were made before are refused from now on. */
async function changePassword(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const fields = textFields(asObject(parseBody(request.headers['content-type'], request.body)), PASSWORD_FIELDS);
  limitAttempts(edge, request);
  const { userId } = await edge.authenticator.session(accessToken(edge, request));
  const passwords = { current: fields['current_password'] ?? '', next: fields['new_password'] ?? '' };
  const account = await edge.database.accounts.changePassword(userId, passwords, { address: addressOf(edge, request) });
  return sendTokens(edge, account, { request, reply });
}

/** Both tokens, in the body and as cookies. */
async function sendTokens(edge: Edge, account: Account, { request, reply }: Exchange): Promise<FastifyReply> {
  const access = await edge.tokens.issue(account, 'access');
  const passwordFingerprint = edge.database.accounts.passwordFingerprint(account.userId);
  const renewal = await edge.tokens.issue({ ...account, passwordFingerprint }, 'refresh');
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
  return send(reply.header('cache-control', 'no-store'), body);
}

function limitAttempts(edge: Edge, request: FastifyRequest): void {
  if (!edge.loginLimit.allows(networkOf(addressOf(edge, request)))) throw kalamError('TOO_MANY_LOGINS');
}

/** Cookies are marked Secure when the browser spoke https, to us or to a proxy on the way. */
function wantsSecure(edge: Edge, request: FastifyRequest): boolean {
  const forwarded = request.headers['x-forwarded-proto'];
  const isSecure = request.protocol === 'https' || (typeof forwarded === 'string' && forwarded.split(',', 1)[0]?.trim() === 'https');
  return edge.config['auth.cookie_secure'] && isSecure;
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

/** `2026-02-02T10:00:00+00:00`. */
function secondsText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', '+00:00');
}
