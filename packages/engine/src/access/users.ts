import { kalamError } from '@kalamdb/protocol';
import { newUser, ROOT_USER } from '../catalog/bootstrap.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { type AuthType, type ProviderIdentity, type UserRecord, userRepository } from '../catalog/system-tables/users.ts';
import type { Role } from '../contract.ts';
import { type Account, type AccountSources, accountOf } from './accounts.ts';
import { roleTitle } from './grant.ts';
import { checkGivenPassword, DEFAULT_PASSWORD_RULES, type PasswordRules } from './password-rules.ts';
import { userNameProblem } from './user-name.ts';

/** Characters of an e-mail address. */
const EMAIL_CHARACTERS_MAX = 320;

/** Who changes users. */
export interface Actor {
  readonly userId: string;
  readonly role: Role;
  /** Where the request came from. */
  readonly address?: string | undefined;
}

/** A user to be made. Without a password nobody can log in as it. */
export interface NewAccount {
  readonly userId: string;
  readonly role: Role;
  readonly authType: AuthType;
  readonly password: string | undefined;
  /** Who an OAuth user is to its provider. */
  readonly identity: (ProviderIdentity & { readonly providerType: string }) | undefined;
  readonly email: string | undefined;
}

/** One change of a user. */
export type UserChange =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'role'; readonly role: Role }
  | { readonly kind: 'email'; readonly email: string };

/** Makes, changes and drops users; each change is in the audit log by the same commit. Who may do so at all is asked before. */
export class Users {
  readonly #sources: AccountSources;
  readonly #rules: PasswordRules;
  /** Identities of users that are being made. */
  readonly #reserved = new Set<string>();

  constructor(sources: AccountSources) {
    this.#sources = sources;
    this.#rules = sources.rules ?? DEFAULT_PASSWORD_RULES;
  }

  /** The user whom a provider knows as this, dropped ones included. */
  byIdentity({ provider, subject }: ProviderIdentity): Account | undefined {
    const record = this.#sources.catalog.providerUser(provider, subject);
    return record === undefined ? undefined : accountOf(record);
  }

  /**
   * Makes a user. Throws INVALID_NAME, USER_EXISTS (dropped users keep their names), INVALID_OPERATION for a password, an
   * e-mail address or an identity that cannot be, INSUFFICIENT_PRIVILEGES for a role that the actor cannot give.
   */
  async create(account: NewAccount, actor: Actor): Promise<Account> {
    const { userId, password, role, identity } = account;
    if (role === 'system' && actor.role !== 'system') throw notPrivileged('DBA cannot grant System role');
    const problem = userNameProblem(userId);
    if (problem !== undefined) throw kalamError('INVALID_NAME', { what: 'user', name: userId, reason: problem });
    if (account.email !== undefined) checkEmail(account.email);
    if (password !== undefined) checkGivenPassword(password, this.#rules);
    if (this.#sources.catalog.user(userId) !== undefined) throw kalamError('USER_EXISTS', { user: userId });
    const release = this.#reserve(identity);
    try {
      const passwordHash = password === undefined ? '' : await this.#sources.hasher.hash(password);
      const { authType, email } = account;
      const authData = identity === undefined ? undefined : authDataOf(identity);
      return await this.#sources.commit((writer) => {
        if (userRepository.latest(writer, userId) !== undefined) throw kalamError('USER_EXISTS', { user: userId });
        const made = newUser({ userId, role, authType, passwordHash, email, authData }, writer.nowMicros);
        userRepository.put(writer, made);
        this.#audit(writer, actor, { action: 'CREATE_USER', userId, details: `Role: ${roleTitle(role)}` });
        return accountOf(made);
      });
    } finally {
      release();
    }
  }

  /**
   * Changes a user. Throws USER_NOT_FOUND (also for a dropped one), INVALID_OPERATION, and INSUFFICIENT_PRIVILEGES where
   * only a system user may do it. A new password takes a lock off.
   */
  async alter(userId: string, change: UserChange, actor: Actor): Promise<void> {
    if (change.kind === 'role' && change.role === 'system' && actor.role !== 'system') throw notPrivileged('DBA cannot grant System role');
    if (change.kind === 'email') checkEmail(change.email);
    if (change.kind === 'password') checkGivenPassword(change.password, this.#rules);
    checkAlterable(this.#sources.catalog.user(userId), { userId, change, actor });
    const passwordHash = change.kind === 'password' ? await this.#sources.hasher.hash(change.password) : '';
    await this.#sources.commit((writer) => {
      const record = checkAlterable(userRepository.latest(writer, userId), { userId, change, actor });
      userRepository.put(writer, { ...record, ...changed(change, passwordHash), updatedAtMicros: writer.nowMicros });
      this.#audit(writer, actor, { action: 'ALTER_USER', userId, details: describeChange(change) });
    });
  }

  /**
   * Marks a user as dropped; `false` when there is none that is not dropped yet. `also` writes more into the same commit. Throws
   * INVALID_OPERATION, INSUFFICIENT_PRIVILEGES, and what `also` throws.
   */
  drop(userId: string, actor: Actor, also?: (writer: SystemWriter) => void): Promise<boolean> {
    return this.#sources.commit((writer) => {
      const record = userRepository.latest(writer, userId);
      if (record === undefined || record.deletedAtMicros !== undefined) return false;
      if (userId === ROOT_USER) throw kalamError('INVALID_OPERATION', { reason: `User '${ROOT_USER}' cannot be dropped` });
      if (record.role === 'system' && actor.role !== 'system') throw notPrivileged('DBA cannot drop a System user');
      userRepository.put(writer, { ...record, deletedAtMicros: writer.nowMicros, updatedAtMicros: writer.nowMicros });
      this.#audit(writer, actor, { action: 'DROP_USER', userId });
      also?.(writer);
      return true;
    });
  }

  /** Two users with one identity could not be told apart at login; a dropped one gives its identity free. */
  #reserve(identity: ProviderIdentity | undefined): () => void {
    if (identity === undefined) return () => undefined;
    const name = `${identity.provider}\n${identity.subject}`;
    const other = this.byIdentity(identity);
    if (this.#reserved.has(name) || (other !== undefined && other.deletedAtMicros === undefined)) {
      throw kalamError('INVALID_OPERATION', { reason: 'Another user has this provider and subject' });
    }
    this.#reserved.add(name);
    return () => this.#reserved.delete(name);
  }

  #audit(writer: SystemWriter, actor: Actor, { action, userId, details }: UserEvent): void {
    this.#sources.audit.append(writer, { actor: actor.userId, action, target: `user:${userId}`, details, address: actor.address });
  }
}

interface UserEvent {
  readonly action: string;
  readonly userId: string;
  readonly details?: string;
}

interface Alteration {
  readonly userId: string;
  readonly change: UserChange;
  readonly actor: Actor;
}

function checkAlterable(record: UserRecord | undefined, { userId, change, actor }: Alteration): UserRecord {
  if (record === undefined || record.deletedAtMicros !== undefined) throw kalamError('USER_NOT_FOUND', { user: userId });
  if (record.role === 'system' && actor.role !== 'system') throw notPrivileged('DBA cannot alter a System user');
  if (change.kind === 'role' && userId === ROOT_USER && change.role !== record.role) {
    throw kalamError('INVALID_OPERATION', { reason: `The role of user '${ROOT_USER}' cannot be changed` });
  }
  if (change.kind === 'password' && record.authType === 'OAuth') {
    throw kalamError('INVALID_OPERATION', { reason: `User '${userId}' signs in through its provider and has no password` });
  }
  return record;
}

function changed(change: UserChange, passwordHash: string): Partial<UserRecord> {
  switch (change.kind) {
    case 'password':
      return { passwordHash, failedLoginAttempts: 0, lockedUntilMicros: undefined };
    case 'role':
      return { role: change.role };
    case 'email':
      return { email: change.email };
    default:
      return change satisfies never;
  }
}

function describeChange(change: UserChange): string {
  switch (change.kind) {
    case 'password':
      return 'SetPassword([REDACTED])';
    case 'role':
      return `SetRole(${roleTitle(change.role)})`;
    case 'email':
      return `SetEmail(${change.email})`;
    default:
      return change satisfies never;
  }
}

function authDataOf({ provider, providerType, subject }: NonNullable<NewAccount['identity']>): string {
  return JSON.stringify({ issuer: provider, provider_type: providerType, subject });
}

function checkEmail(email: string): void {
  if (email.length > EMAIL_CHARACTERS_MAX)
    throw kalamError('INVALID_OPERATION', { reason: `An e-mail address has at most ${EMAIL_CHARACTERS_MAX} characters` });
}

function notPrivileged(reason: string): Error {
  return kalamError('INSUFFICIENT_PRIVILEGES', { reason });
}
