import { type Account, type Actor, type ApiToken, type ApiTokenRequest, isAdmin } from '@kalamdb/engine';
import { type JsonValue, kalamError } from '@kalamdb/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../../auth/request-address.ts';
import type { Edge } from '../../edge.ts';
import { asObject, malformed, nameOf, parseBody } from '../request-body.ts';
import { type AuthRouteOptions, accessToken, microsText, send } from './auth-exchange.ts';

const PATH = '/v1/api/auth/tokens';
const FIELDS = '`name`, `expires_in_days`, `user`';

/** A token in answers; dates are RFC 3339. */
interface TokenInfo {
  readonly id: string;
  readonly user: string;
  readonly name: string;
  readonly created_at: string;
  /** `null`: it does not expire. */
  readonly expires_at: string | null;
  /** To the minute; `null`: it was not used yet. */
  readonly last_used_at: string | null;
}

/**
 * Adds the routes for API tokens. They take the access token of a login, never an API token: whoever has stolen one cannot
 * make others of it.
 */
export function addTokenRoutes(app: FastifyInstance, edge: Edge, options: AuthRouteOptions): void {
  app.post(PATH, options, (request, reply) => create(edge, request, reply));
  app.get(PATH, options, (request, reply) => list(edge, request, reply));
  app.delete(`${PATH}/:id`, options, (request, reply) => revoke(edge, request, reply));
}

/**
 * `{"name", "expires_in_days"?, "user"?}` makes a token for the caller, or by an admin for another user, who may have no
 * password to log in with; its text is in this answer and nowhere else.
 */
async function create(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const wanted = readRequest(parseBody(request.headers['content-type'], request.body));
  const actor = await actorOf(edge, request);
  if (wanted.userId !== undefined) checkOwner(edge, wanted.userId, actor);
  const { token, text } = await edge.database.apiTokens.create(wanted, actor);
  return send(reply.header('cache-control', 'no-store'), { token: text, ...infoOf(token) });
}

/** The caller's tokens; for admins those of `?user=`, or of everybody with `?all=true`. */
async function list(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const caller = await actorOf(edge, request);
  const { user = caller.userId, all } = request.query as Readonly<Record<'user' | 'all', string | readonly string[] | undefined>>;
  if (typeof user !== 'string') throw kalamError('TOKEN_REQUEST_INVALID', { reason: 'user is given more than once' });
  const everybody = all === 'true';
  if ((everybody || user !== caller.userId) && !isAdmin(caller.role)) throw kalamError('TOKENS_OF_OTHERS');
  return send(reply, { tokens: edge.database.apiTokens.list(everybody ? undefined : user).map(infoOf) });
}

/** Ends a token; whoever uses it is cut off within a second. */
async function revoke(edge: Edge, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const caller = await actorOf(edge, request);
  const { id } = request.params as { readonly id: string };
  const { apiTokens } = edge.database;
  const token = apiTokens.find(id);
  // To everybody else a token of another user is not there at all.
  if (token === undefined || (token.userId !== caller.userId && !isAdmin(caller.role))) throw unknownToken(id);
  checkOwner(edge, token.userId, caller);
  if (!(await apiTokens.revoke(id, caller))) throw unknownToken(id);
  return send(reply, { message: 'Token revoked' });
}

/** Whether the caller may make and end tokens of a user: an admin may, who could as well give that user a password. */
function checkOwner(edge: Edge, userId: string, caller: Actor): void {
  if (userId === caller.userId) return;
  if (!isAdmin(caller.role)) throw kalamError('TOKENS_OF_OTHERS');
  const owner = edge.database.accounts.find(userId);
  if (owner === undefined) throw kalamError('TOKEN_REQUEST_INVALID', { reason: `There is no user '${userId}'` });
  if (owner.role === 'system' && caller.role !== 'system') throw kalamError('TOKENS_OF_OTHERS');
}

function unknownToken(id: string): Error {
  return kalamError('API_TOKEN_NOT_FOUND', { id: id.slice(0, 64) });
}

async function actorOf(edge: Edge, request: FastifyRequest): Promise<Actor> {
  const { userId, role }: Account = await edge.authenticator.session(accessToken(edge, request));
  return { userId, role, address: addressOf(edge, request) };
}

function readRequest(body: JsonValue): ApiTokenRequest {
  const { name, expires_in_days: days, user, ...others } = asObject(body);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw malformed(`unknown field \`${unknown.slice(0, 100)}\`, expected one of ${FIELDS}`);
  if (name === undefined) throw malformed('missing field `name`');
  if (typeof name !== 'string') throw malformed(`invalid type: ${nameOf(name)}, expected a string`);
  if (user !== undefined && user !== null && typeof user !== 'string') throw malformed(`invalid type: ${nameOf(user)}, expected a string`);
  if (days !== undefined && days !== null && typeof days !== 'number')
    throw malformed(`invalid type: ${nameOf(days)}, expected an integer`);
  return { name, expiresInDays: days ?? undefined, userId: user ?? undefined };
}

function infoOf({ tokenId, userId, name, createdAtMicros, expiresAtMicros, lastUsedAtMicros }: ApiToken): TokenInfo {
  return {
    id: tokenId,
    user: userId,
    name,
    created_at: microsText(createdAtMicros),
    expires_at: expiresAtMicros === undefined ? null : microsText(expiresAtMicros),
    last_used_at: lastUsedAtMicros === undefined ? null : microsText(lastUsedAtMicros),
  };
}
