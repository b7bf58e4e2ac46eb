import { type Clock, kalamError } from '@kalamdb/protocol';
import { newUser, ROOT_USER } from '../catalog/bootstrap.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import { type AuthType, type UserRecord, userRepository } from '../catalog/system-tables/users.ts';
import type { Role } from '../contract.ts';
import { checkPassword, type PasswordHasher } from './password.ts';
import { userNameProblem } from './user-name.ts';

/** Failed logins in a row that lock an account. */
export const FAILED_LOGINS_MAX = 5;
/** Minutes that an account stays locked. */
export const LOCK_MINUTES = 15;
/** `last_login_at` is written at most once in this time. */
const LAST_LOGIN_SAMPLE_MILLIS = 1000;
const MICROS_PER_MINUTE = 60_000_000n;

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

/** A user to be made. Without a password nobody can log in as it. */
export interface NewAccount {
  readonly userId: string;
  readonly role: Role;
  readonly authType: AuthType;
  readonly password: string | undefined;
  /** JSON object text. */
  readonly authData: string | undefined;
  readonly email: string | undefined;
}

/** What accounts are made of. */
interface AccountSources {
  readonly catalog: Catalog;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  /** Runs a turn of the sequencer; resolves when it is durable and the catalog has seen it. */
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

/** The stored users: who exists, who may come in. Every change reads the row again inside its turn, so none is lost. */
export class Accounts {
  readonly #sources: AccountSources;

  constructor(sources: AccountSources) {
    this.#sources = sources;
  }

  /** A user, dropped ones included. */
  find(userId: string): Account | undefined {
    const record = this.#sources.catalog.user(userId);
    return record === undefined ? undefined : accountOf(record);
  }

  /** Whether root has no password yet. */
  needsSetup(): boolean {
    return this.#sources.catalog.user(ROOT_USER)?.passwordHash === '';
  }

  /**
   * Gives root its password and makes the first dba, in one commit. Throws ALREADY_CONFIGURED, WEAK_PASSWORD, INVALID_USER,
   * SETUP_USER_EXISTS.
   */
  async setup(request: SetupRequest): Promise<Account> {
    if (!this.needsSetup()) throw kalamError('ALREADY_CONFIGURED');
    checkPassword('DBA user password', request.password);
    checkPassword('Root password', request.rootPassword);
    if (userNameProblem(request.user) !== undefined) throw kalamError('INVALID_USER', { reason: 'Invalid user value' });
    if (request.user === ROOT_USER) {
      throw kalamError('INVALID_USER', { reason: `Cannot create a DBA user with user '${ROOT_USER}'. Choose a different user.` });
    }
    const { hasher, commit } = this.#sources;
    const [passwordHash, rootHash] = await Promise.all([hasher.hash(request.password), hasher.hash(request.rootPassword)]);
    return commit((writer) => {
      const root = userRepository.latest(writer, ROOT_USER);
      if (root === undefined || root.passwordHash !== '') throw kalamError('ALREADY_CONFIGURED');
      if (userRepository.latest(writer, request.user) !== undefined) throw kalamError('SETUP_USER_EXISTS', { user: request.user });
      userRepository.put(writer, { ...root, passwordHash: rootHash, updatedAtMicros: writer.nowMicros });
      const { user, email } = request;
      const made = newUser({ userId: user, role: 'dba', authType: 'Password', passwordHash, email, authData: undefined }, writer.nowMicros);
      userRepository.put(writer, made);
      return accountOf(made);
    });
  }

  /**
   * Checks a password. Throws LOGIN_REFUSED (whatever the reason, after the same work), ACCOUNT_LOCKED after too many
   * failures, SETUP_REQUIRED for root without password, TOO_MANY_LOGINS.
   */
  async login(user: string, password: string): Promise<Account> {
    const record = this.#sources.catalog.user(user);
    if (user === ROOT_USER && record?.passwordHash === '' && password === '') throw kalamError('SETUP_REQUIRED');
    const active = record?.deletedAtMicros === undefined ? record : undefined;
    if (active !== undefined) this.#checkLock(active);
    const stored = active?.authType === 'OAuth' || active?.passwordHash === '' ? undefined : active?.passwordHash;
    const matches = await this.#sources.hasher.verify(password, stored);
    if (active === undefined || stored === undefined) throw kalamError('LOGIN_REFUSED');
    if (matches) return this.#loggedIn(active);
    await this.#noteFailure(user);
    throw kalamError('LOGIN_REFUSED');
  }

  /** Makes a user. Throws INVALID_NAME, USER_EXISTS (dropped users keep their names), INVALID_OPERATION for an empty password. */
  async createUser(account: NewAccount): Promise<void> {
    const { userId, password } = account;
    const problem = userNameProblem(userId);
    if (problem !== undefined) throw kalamError('INVALID_NAME', { what: 'user', name: userId, reason: problem });
    if (password === '') throw kalamError('INVALID_OPERATION', { reason: 'Password cannot be empty' });
    if (this.#sources.catalog.user(userId) !== undefined) throw kalamError('USER_EXISTS', { user: userId });
    const passwordHash = password === undefined ? '' : await this.#sources.hasher.hash(password);
    await this.#sources.commit((writer) => {
      if (userRepository.latest(writer, userId) !== undefined) throw kalamError('USER_EXISTS', { user: userId });
      const { role, authType, email, authData } = account;
      userRepository.put(writer, newUser({ userId, role, authType, passwordHash, email, authData }, writer.nowMicros));
    });
  }

  /** Marks a user as dropped; `false` when there is none that is not dropped yet. */
  dropUser(userId: string): Promise<boolean> {
    return this.#sources.commit((writer) => {
      const record = userRepository.latest(writer, userId);
      if (record === undefined || record.deletedAtMicros !== undefined) return false;
      userRepository.put(writer, { ...record, deletedAtMicros: writer.nowMicros, updatedAtMicros: writer.nowMicros });
      return true;
    });
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
  #loggedIn(seen: UserRecord): Promise<Account> | Account {
    const recent = this.#nowMicros() - BigInt(LAST_LOGIN_SAMPLE_MILLIS) * 1000n;
    const current = this.#sources.catalog.user(seen.userId);
    if (current === seen && seen.failedLoginAttempts === 0 && (seen.lastLoginAtMicros ?? 0n) > recent) return accountOf(seen);
    return this.#sources.commit((writer) => {
      const record = userRepository.latest(writer, seen.userId);
      if (record === undefined || record.deletedAtMicros !== undefined || record.passwordHash !== seen.passwordHash) {
        throw kalamError('LOGIN_REFUSED');
      }
      this.#checkLock(record);
      const entered = { ...record, failedLoginAttempts: 0, lockedUntilMicros: undefined, lastLoginAtMicros: writer.nowMicros };
      userRepository.put(writer, entered);
      return accountOf(entered);
    });
  }

  async #noteFailure(userId: string): Promise<void> {
    await this.#sources.commit((writer) => {
      const record = userRepository.latest(writer, userId);
      if (record === undefined || record.deletedAtMicros !== undefined) return;
      if (record.lockedUntilMicros !== undefined && record.lockedUntilMicros > writer.nowMicros) return;
      const failures = (record.lockedUntilMicros === undefined ? record.failedLoginAttempts : 0) + 1;
      const lockedUntilMicros = failures >= FAILED_LOGINS_MAX ? writer.nowMicros + BigInt(LOCK_MINUTES) * MICROS_PER_MINUTE : undefined;
      userRepository.put(writer, { ...record, failedLoginAttempts: failures, lockedUntilMicros });
    });
  }
}

function accountOf(record: UserRecord): Account {
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
