import { type JsonValue, kalamError, parseJson } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import type { Actor, NewAccount, UserChange } from '../access/users.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { Role, StatementResult } from '../contract.ts';
import { createUserCleanup } from '../jobs/user-cleanup.ts';
import { type DdlContext, messageResult, requireAdmin, requireRole } from './ddl-context.ts';

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
type AlterUser = Extract<Statement, { kind: 'alter-user' }>;

/** `CREATE USER name WITH … ROLE r [EMAIL 'e']` (sql-dialect B20). Passwords are not judged here, as in the original. */
export async function createUser(statement: CreateUser, context: DdlContext): Promise<StatementResult> {
  const role = roleOf(statement.role);
  requireAdmin(context, 'create users');
  const { name: userId, email, auth } = statement;
  await context.users.create({ userId, role, email, ...credentials(auth) }, actorOf(context));
  return messageResult(context, `User '${userId}' created`);
}

/** `ALTER USER name SET {PASSWORD 'p' | ROLE r | EMAIL 'e'}`. Whoever is no admin changes an own password over HTTP. */
export async function alterUser(statement: AlterUser, context: DdlContext): Promise<StatementResult> {
  const { name, change } = statement;
  const wanted: UserChange = change.kind === 'role' ? { kind: 'role', role: roleOf(change.role) } : change;
  requireRole(context, 'dba', 'ALTER USER requires DBA or System role');
  await context.users.alter(name, wanted, actorOf(context));
  return messageResult(context, `User '${name}' updated`);
}

/** `DROP USER [IF EXISTS] name`: the row stays, the name stays taken, no login any more. */
export async function dropUser(statement: Extract<Statement, { kind: 'drop-user' }>, context: DdlContext): Promise<StatementResult> {
  requireAdmin(context, 'drop users');
  const { name } = statement;
  const cleanUp = (writer: SystemWriter): void => createUserCleanup(context.jobs, writer, name);
  if (await context.users.drop(name, actorOf(context), cleanUp)) return messageResult(context, `User '${name}' dropped (soft delete)`);
  if (statement.ifExists) return messageResult(context, `User '${name}' does not exist (skipped)`);
  throw kalamError('USER_NOT_FOUND', { user: name });
}

function roleOf(word: string): Role {
  const role = ROLE_WORDS.get(word.toLowerCase());
  if (role === undefined) throw kalamError('INVALID_ROLE', { role: word });
  return role;
}

function actorOf({ principal, clientAddress }: DdlContext): Actor {
  return { ...principal, address: clientAddress };
}

function credentials(auth: CreateUser['auth']): Pick<NewAccount, 'authType' | 'password' | 'identity'> {
  switch (auth.kind) {
    case 'password':
      return { authType: 'Password', password: auth.password, identity: undefined };
    case 'internal':
      return { authType: 'Internal', password: undefined, identity: undefined };
    case 'oauth':
      return { authType: 'OAuth', password: undefined, identity: identityOf(auth.json) };
    default:
      return auth satisfies never;
  }
}

/** Provider names that mean another one. */
const PROVIDER_ALIASES: ReadonlyMap<string, string> = new Map([
  ['azure', 'azure_ad'],
  ['microsoft', 'azure_ad'],
]);

/** A provider is named by its id (catalog B4), or by the URL of its issuer, which is taken as it stands. */
function identityOf(json: string | undefined): NonNullable<NewAccount['identity']> {
  const value = json === undefined ? {} : parsed(json);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) invalidOAuth('OAuth data must be a JSON object');
  const fields = new Map<string, JsonValue>(Object.entries(value));
  const provider = fields.get('provider');
  const subject = fields.get('subject');
  if (typeof provider !== 'string' || provider === '') return invalidOAuth("OAuth user requires 'provider' field");
  if (typeof subject !== 'string' || subject === '') return invalidOAuth("OAuth user requires 'subject' field");
  if (/^https?:\/\//i.test(provider)) return { provider, providerType: 'custom', subject };
  const name = provider.toLowerCase();
  const id = PROVIDER_ALIASES.get(name) ?? name;
  return { provider: id, providerType: id, subject };
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
