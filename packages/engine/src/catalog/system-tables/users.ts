import type { Role } from '../../contract.ts';
import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/** `system.users` (catalog B2). Dropped users keep their row, with `deleted_at`. */
export const USERS: Table = systemTable({
  id: 3,
  name: 'users',
  comment: 'The users of the database',
  columns: [
    key('user_id', 'text', 'Login name'),
    required('password_hash', 'text', 'argon2id hash; empty when the user has no password'),
    required('role', 'text', 'anonymous, user, service, dba or system'),
    optional('email', 'text', 'E-mail address'),
    required('auth_type', 'text', 'Password, OAuth or Internal'),
    optional('auth_data', 'json', 'Provider and subject of an OAuth user'),
    required('storage_mode', 'text', 'Table or Region'),
    optional('storage_id', 'text', 'Storage of the user'),
    required('failed_login_attempts', 'int', 'Failed logins since the last success'),
    optional('locked_until', 'timestamp', 'No login before this time'),
    optional('last_login_at', 'timestamp', 'Last login'),
    timeOfWriting('created_at', 'When the user was created'),
    timeOfWriting('updated_at', 'When an administrator last changed the user'),
    optional('last_seen', 'timestamp', 'Last request'),
    optional('deleted_at', 'timestamp', 'When the user was dropped'),
  ],
});

/** How a user proves who it is. */
export type AuthType = 'Password' | 'OAuth' | 'Internal';

/** One user. */
export interface UserRecord {
  readonly userId: string;
  /** Encoded argon2id hash; empty = no password is set. */
  readonly passwordHash: string;
  readonly role: Role;
  readonly email: string | undefined;
  readonly authType: AuthType;
  /** JSON object text. */
  readonly authData: string | undefined;
  readonly storageMode: 'Table' | 'Region';
  readonly storageId: string | undefined;
  readonly failedLoginAttempts: number;
  readonly lockedUntilMicros: bigint | undefined;
  readonly lastLoginAtMicros: bigint | undefined;
  readonly createdAtMicros: bigint;
  readonly updatedAtMicros: bigint;
  readonly lastSeenMicros: bigint | undefined;
  readonly deletedAtMicros: bigint | undefined;
}

/** Whom a provider vouches for. */
export interface ProviderIdentity {
  /** A provider's id (sql-dialect B4 of the catalog) or the URL of an issuer. */
  readonly provider: string;
  /** The provider's own name for the user; never given to another one. */
  readonly subject: string;
}

/** What `auth_data` of an OAuth user says; `undefined` for users that have nothing of the kind. */
export function providerIdentity({ authType, authData }: Pick<UserRecord, 'authType' | 'authData'>): ProviderIdentity | undefined {
  if (authType !== 'OAuth' || authData === undefined) return undefined;
  const value: unknown = JSON.parse(authData);
  if (typeof value !== 'object' || value === null || !('issuer' in value) || !('subject' in value)) return undefined;
  const { issuer, subject } = value;
  return typeof issuer === 'string' && typeof subject === 'string' ? { provider: issuer, subject } : undefined;
}

const ROLES: readonly Role[] = ['anonymous', 'user', 'service', 'dba', 'system'];
const AUTH_TYPES: readonly AuthType[] = ['Password', 'OAuth', 'Internal'];

/** Reads and writes `system.users`. */
export const userRepository: Repository<UserRecord> = new Repository<UserRecord>(USERS, {
  toRow: (record) => [
    record.userId,
    record.passwordHash,
    record.role,
    record.email ?? null,
    record.authType,
    record.authData ?? null,
    record.storageMode,
    record.storageId ?? null,
    record.failedLoginAttempts,
    record.lockedUntilMicros ?? null,
    record.lastLoginAtMicros ?? null,
    record.createdAtMicros,
    record.updatedAtMicros,
    record.lastSeenMicros ?? null,
    record.deletedAtMicros ?? null,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(USERS.name, cells);
    return {
      userId: reader.text(),
      passwordHash: reader.text(),
      role: reader.oneOf(ROLES),
      email: reader.textOrNone(),
      authType: reader.oneOf(AUTH_TYPES),
      authData: reader.textOrNone(),
      storageMode: reader.oneOf(['Table', 'Region']),
      storageId: reader.textOrNone(),
      failedLoginAttempts: reader.number(),
      lockedUntilMicros: reader.bigintOrNone(),
      lastLoginAtMicros: reader.bigintOrNone(),
      createdAtMicros: reader.bigint(),
      updatedAtMicros: reader.bigint(),
      lastSeenMicros: reader.bigintOrNone(),
      deletedAtMicros: reader.bigintOrNone(),
    };
  },
});
