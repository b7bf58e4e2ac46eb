import { createHash } from 'node:crypto';
import { type Clock, kalamError } from '@kalamdb/protocol';
import { newUser, ROOT_USER } from '../catalog/bootstrap.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { type AuthType, type UserRecord, userRepository } from '../catalog/system-tables/users.ts';
import type { Role } from '../contract.ts';
import type { AuditTrail } from './audit-trail.ts';
import { isAdmin } from './grant.ts';
import type { PasswordHasher } from './password.ts';
import { checkPassword, DEFAULT_PASSWORD_RULES, type PasswordRules } from './password-rules.ts';
import { userNameProblem } from './user-name.ts';

/** Failed logins in a row that lock an account. */
export const FAILED_LOGINS_MAX = 5;
/** Minutes that an account stays locked. */
export const LOCK_MINUTES = 15;
/** `last_login_at` is written at most once in this time. */
const LAST_LOGIN_SAMPLE_MILLIS = 1000;
const MICROS_PER_MINUTE = 60_000_000n;
const FINGERPRINT_CHARACTERS = 16;

/** One stored user, without secrets. */
export interface Account {
  readonly userId: string;
  readonly role: Role;
  readonly email: string | undefined;
  readonly authType: AuthType;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
  /** Set on dropped users: they may not do anything. */
  readonly deletedAtMicros: bigint | undefined;
}

/** The first-run setup (wire-protocol 2.6). */
export interface SetupRequest {
  readonly user: string;
  readonly password: string;
  readonly rootPassword: string;
  readonly email: string | undefined;
}

/** Where an attempt to log in came from. */
export interface LoginOrigin {
  /** For the audit log. */
  readonly address?: string | undefined;
  /** Not from this machine. */
  readonly remote?: boolean | undefined;
}

/** What accounts are made of. */
export interface AccountSources {
  readonly catalog: Catalog;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  readonly audit: AuditTrail;
  /** For passwords that people choose for themselves. */
  readonly rules?: PasswordRules | undefined;
  /** Told of what went wrong where no caller waits. */
  readonly warn: (text: string, detail: object) => void;
  /** Runs a turn of the sequencer; resolves when it is durable and the catalog has seen it. */
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/** The stored users: who exists, who may come in. Every change reads the row again inside its turn, so none is lost. */
export class Accounts {
  readonly #sources: AccountSources;
  readonly #rules: PasswordRules;
  /** Failed logins whose count is not durable yet, by user. */
  readonly #failing = new Map<string, number>();

  constructor(sources: AccountSources) {
    this.#sources = sources;
    this.#rules = sources.rules ?? DEFAULT_PASSWORD_RULES;
  }

  /** A user, dropped ones included. */
  find(userId: string): Account | undefined {
    const record = this.#sources.catalog.user(userId);
    return record === undefined ? undefined : accountOf(record);
  }

  /**
   * Names the password a user has now, without telling anything about it: any change of the password changes it too. Refresh
   * tokens carry it and so end with the password they were made under.
   */
  passwordFingerprint(userId: string): string {
    const stored = this.#sources.catalog.user(userId)?.passwordHash ?? '';
    return createHash('sha256').update(stored).digest('hex').slice(0, FINGERPRINT_CHARACTERS);
  }

  /** Whether root has no password yet. */
  needsSetup(): boolean {
    return this.#sources.catalog.user(ROOT_USER)?.passwordHash === '';
  }

  /**
   * Gives root its password and makes the first dba, in one commit. Throws ALREADY_CONFIGURED, WEAK_PASSWORD, INVALID_USER,
   * SETUP_USER_EXISTS.
   */
  async setup(request: SetupRequest, { address }: LoginOrigin = {}): Promise<Account> {
    if (!this.needsSetup()) throw kalamError('ALREADY_CONFIGURED');
    checkPassword('DBA user password', request.password, this.#rules);
    checkPassword('Root password', request.rootPassword, this.#rules);
    if (userNameProblem(request.user) !== undefined) throw kalamError('INVALID_USER', { reason: 'Invalid user value' });
    if (request.user === ROOT_USER) {
      throw kalamError('INVALID_USER', { reason: `Cannot create a DBA user with user '${ROOT_USER}'. Choose a different user.` });
    }
    const { audit, hasher, commit } = this.#sources;
    const [passwordHash, rootHash] = await Promise.all([hasher.hash(request.password), hasher.hash(request.rootPassword)]);
    return commit((writer) => {
      const root = userRepository.latest(writer, ROOT_USER);
      if (root === undefined || root.passwordHash !== '') throw kalamError('ALREADY_CONFIGURED');
      if (userRepository.latest(writer, request.user) !== undefined) throw kalamError('SETUP_USER_EXISTS', { user: request.user });
      userRepository.put(writer, { ...root, passwordHash: rootHash, updatedAtMicros: writer.nowMicros });
      const { user, email } = request;
      const made = newUser({ userId: user, role: 'dba', authType: 'Password', passwordHash, email, authData: undefined }, writer.nowMicros);
      userRepository.put(writer, made);
      audit.append(writer, { actor: ROOT_USER, action: 'SERVER_SETUP', target: `user:${user}`, details: 'Role: Dba', address });
      return accountOf(made);
    });
  }

  /**
   * Checks a password. Throws LOGIN_REFUSED (whatever the reason, after the same work), ACCOUNT_LOCKED after too many
   * failures, SETUP_REQUIRED for root without password, LOCAL_ONLY for a system user without password from elsewhere,
   * TOO_MANY_LOGINS.
   */
  async login(user: string, password: string, origin: LoginOrigin = {}): Promise<Account> {
    const record = this.#sources.catalog.user(user);
    if (user === ROOT_USER && record?.passwordHash === '' && password === '') throw kalamError('SETUP_REQUIRED');
    const active = record?.deletedAtMicros === undefined ? record : undefined;
    if (active?.role === 'system' && active.passwordHash === '' && active.authType !== 'OAuth' && origin.remote === true) {
      throw kalamError('LOCAL_ONLY', { reason: 'Access denied' });
    }
    return this.#loggedIn(await this.#verified(active, password, origin), origin);
  }

  /**
   * Gives a user another password that the user has chosen. A wrong current password counts as a failed login. Throws
   * WEAK_PASSWORD, PASSWORD_NOT_USED, LOGIN_REFUSED, ACCOUNT_LOCKED, TOO_MANY_LOGINS.
   */
  async changePassword(
    userId: string,
    passwords: { readonly current: string; readonly next: string },
    origin: LoginOrigin,
  ): Promise<Account> {
    const { audit, catalog, hasher, commit } = this.#sources;
    checkPassword('New password', passwords.next, this.#rules);
    const record = catalog.user(userId);
    if (record !== undefined && passwordOf(record) === undefined) throw kalamError('PASSWORD_NOT_USED');
    const active = record?.deletedAtMicros === undefined ? record : undefined;
    const seen = await this.#verified(active, passwords.current, origin);
    const passwordHash = await hasher.hash(passwords.next);
    return commit((writer) => {
      const entered = this.#entering(writer, seen);
      const changed = { ...entered, passwordHash, updatedAtMicros: writer.nowMicros };
      userRepository.put(writer, changed);
      const { address } = origin;
      audit.append(writer, { actor: userId, action: 'ALTER_USER', target: `user:${userId}`, details: 'SetPassword([REDACTED])', address });
      return accountOf(changed);
    });
  }

  /** Notes that a provider has vouched for a user: `last_login_at`, and the audit row of an admin. Nobody need wait for it. */
  async loggedInByProvider(userId: string, origin: LoginOrigin): Promise<void> {
    const record = this.#sources.catalog.user(userId);
    if (record !== undefined && record.deletedAtMicros === undefined) await this.#loggedIn(record, origin);
  }

  /** The user whose password this is, after the same work whoever was named. */
  async #verified(active: UserRecord | undefined, password: string, origin: LoginOrigin): Promise<UserRecord> {
    if (active !== undefined) this.#checkLock(active);
    const stored = active === undefined ? undefined : passwordOf(active);
    const matches = await this.#sources.hasher.verify(password, stored);
    if (matches && active !== undefined) return active;
    // What was typed as the name of nobody may well be a password: it is not written down.
    const target = active === undefined ? 'user:(unknown)' : `user:${active.userId}`;
    this.#sources.audit.note({ actor: 'anonymous', action: 'LOGIN_FAILED', target, address: origin.address });
    if (stored !== undefined && active !== undefined) this.#noteFailure(active.userId, origin);
    throw kalamError('LOGIN_REFUSED');
  }

  #nowMicros(): bigint {
    return BigInt(Math.trunc(this.#sources.clock.now())) * 1000n;
  }

  #checkLock(record: UserRecord): void {
    const left = (record.lockedUntilMicros ?? 0n) - this.#nowMicros();
    if (left <= 0n) return;
    throw kalamError('ACCOUNT_LOCKED', { minutes: (left + MICROS_PER_MINUTE - 1n) / MICROS_PER_MINUTE });
  }

  /** The password was right when it was checked; the turn sees whether the user is still the same. */
  #loggedIn(seen: UserRecord, { address }: LoginOrigin): Promise<Account> | Account {
    const { audit, catalog, commit } = this.#sources;
    const recent = this.#nowMicros() - BigInt(LAST_LOGIN_SAMPLE_MILLIS) * 1000n;
    const unchanged = catalog.user(seen.userId) === seen && !this.#failing.has(seen.userId);
    if (unchanged && seen.failedLoginAttempts === 0 && (seen.lastLoginAtMicros ?? 0n) > recent) return accountOf(seen);
    return commit((writer) => {
      const entered = { ...this.#entering(writer, seen), lastLoginAtMicros: writer.nowMicros };
      userRepository.put(writer, entered);
      const { userId, role } = entered;
      if (isAdmin(role)) audit.append(writer, { actor: userId, action: 'LOGIN', target: `user:${userId}`, address });
      return accountOf(entered);
    });
  }

  /** The user as it comes in: still there, still with this password, not locked. */
  #entering(writer: SystemWriter, seen: UserRecord): UserRecord {
    const record = userRepository.latest(writer, seen.userId);
    if (record === undefined || record.deletedAtMicros !== undefined || record.passwordHash !== seen.passwordHash) {
      throw kalamError('LOGIN_REFUSED');
    }
    this.#checkLock(record);
    return { ...record, failedLoginAttempts: 0, lockedUntilMicros: undefined };
  }

  /**
   * Counts a wrong password. The answer does not wait for the disk, which would tell that the user exists. Throws
   * ACCOUNT_LOCKED when others have locked the account since: a right password hears the same then, so that many guesses
   * at once find out no more than five.
   */
  #noteFailure(userId: string, { address }: LoginOrigin): void {
    let locked: UserRecord | undefined;
    const noted = this.#sources.commit((writer) => {
      const record = userRepository.latest(writer, userId);
      if (record === undefined || record.deletedAtMicros !== undefined) return;
      if (record.lockedUntilMicros !== undefined && record.lockedUntilMicros > writer.nowMicros) {
        locked = record;
        return;
      }
      const failures = (record.lockedUntilMicros === undefined ? record.failedLoginAttempts : 0) + 1;
      const lockedUntilMicros = failures >= FAILED_LOGINS_MAX ? writer.nowMicros + BigInt(LOCK_MINUTES) * MICROS_PER_MINUTE : undefined;
      userRepository.put(writer, { ...record, failedLoginAttempts: failures, lockedUntilMicros });
      if (lockedUntilMicros === undefined) return;
      const details = `${LOCK_MINUTES} minutes after ${failures} failed logins`;
      this.#sources.audit.append(writer, { actor: 'anonymous', action: 'ACCOUNT_LOCKED', target: `user:${userId}`, details, address });
    });
    this.#failing.set(userId, (this.#failing.get(userId) ?? 0) + 1);
    noted
      .catch((error: unknown) => this.#sources.warn('a failed login could not be counted', { error }))
      .finally(() => {
        const left = (this.#failing.get(userId) ?? 1) - 1;
        if (left === 0) this.#failing.delete(userId);
        else this.#failing.set(userId, left);
      });
    if (locked !== undefined) this.#checkLock(locked);
  }
}

/** What a user can log in with by password; an empty hash is none, and an OAuth user has none by nature. */
function passwordOf(record: UserRecord): string | undefined {
  return record.authType === 'OAuth' || record.passwordHash === '' ? undefined : record.passwordHash;
}

/** What may be shown of a stored user. */
export function accountOf(record: UserRecord): Account {
  return {
    userId: record.userId,
    role: record.role,
    email: record.email,
    authType: record.authType,
    createdAtMicros: record.createdAtMicros,
    updatedAtMicros: record.updatedAtMicros,
    deletedAtMicros: record.deletedAtMicros,
  };
}
