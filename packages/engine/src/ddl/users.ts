import { type JsonValue, kalamError, parseJson } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { NewAccount } from '../access/accounts.ts';
import { ROOT_USER } from '../catalog/bootstrap.ts';
import type { Role, StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireAdmin } from './ddl-context.ts';

/** Role words of CREATE USER and ALTER USER (sql-dialect B20). */
const ROLE_WORDS: ReadonlyMap<string, Role> = new Map<string, Role>([
  ['dba', 'dba'],
  ['admin', 'dba'],
  ['service', 'service'],
  ['developer', 'service'],
  ['analyst', 'service'],
  ['user', 'user'],
  ['viewer', 'user'],
  ['readonly', 'user'],
  ['system', 'system'],
]);

type CreateUser = Extract<Statement, { kind: 'create-user' }>;

/** `CREATE USER name WITH … ROLE r [EMAIL 'e']` (sql-dialect B20). Passwords are not judged here, as in the original. */
export async function createUser(statement: CreateUser, context: DdlContext): Promise<StatementResult> {
  const role = ROLE_WORDS.get(statement.role.toLowerCase());
  if (role === undefined) throw kalamError('INVALID_ROLE', { role: statement.role });
  requireAdmin(context, 'create users');
  if (role === 'system') requireSystem(context, 'DBA cannot grant System role');
  await context.accounts.createUser({ userId: statement.name, role, email: statement.email, ...credentials(statement.auth) });
  return messageResult(context, `User '${statement.name}' created`);
}

/** `DROP USER [IF EXISTS] name`: the row stays, the name stays taken, no login any more. */
export async function dropUser(statement: Extract<Statement, { kind: 'drop-user' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'drop users');
  const { name } = statement;
  if (name === ROOT_USER) throw kalamError('INVALID_OPERATION', { reason: `User '${ROOT_USER}' cannot be dropped` });
  if (context.accounts.find(name)?.role === 'system') requireSystem(context, 'DBA cannot drop a System user');
  if (await context.accounts.dropUser(name)) return messageResult(context, `User '${name}' dropped (soft delete)`);
  if (statement.ifExists) return messageResult(context, `User '${name}' does not exist (skipped)`);
  throw kalamError('USER_NOT_FOUND', { user: name });
}

function requireSystem(context: DdlContext, reason: string): void {
  if (context.principal.role !== 'system') throw kalamError('INSUFFICIENT_PRIVILEGES', { reason });
}

function credentials(auth: CreateUser['auth']): Pick<NewAccount, 'authType' | 'password' | 'authData'> {
  switch (auth.kind) {
    case 'password':
      return { authType: 'Password', password: auth.password, authData: undefined };
    case 'internal':
      return { authType: 'Internal', password: undefined, authData: undefined };
    case 'oauth':
      return { authType: 'OAuth', password: undefined, authData: oauthData(auth.json) };
    default:
      return auth satisfies never;
  }
}

/** Provider names that mean another one. */
const PROVIDER_ALIASES: ReadonlyMap<string, string> = new Map([
  ['azure', 'azure_ad'],
  ['microsoft', 'azure_ad'],
]);

function oauthData(json: string | undefined): string {
  const value = json === undefined ? {} : parsed(json);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) invalidOAuth('OAuth data must be a JSON object');
  const fields = new Map<string, JsonValue>(Object.entries(value));
  const provider = fields.get('provider');
  const subject = fields.get('subject');
  if (typeof provider !== 'string' || provider === '') return invalidOAuth("OAuth user requires 'provider' field");
  if (typeof subject !== 'string' || subject === '') return invalidOAuth("OAuth user requires 'subject' field");
  const name = provider.toLowerCase();
  const issuer = PROVIDER_ALIASES.get(name) ?? name;
  return JSON.stringify({ issuer, provider_type: issuer, subject });
}

function parsed(json: string): JsonValue {
  try {
    return parseJson(json);
  } catch (error) {
    throw kalamError('INVALID_OPERATION', { reason: 'Invalid OAuth JSON' }, { cause: error });
  }
}

function invalidOAuth(reason: string): never {
  throw kalamError('INVALID_OPERATION', { reason });
}
