import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { openCatalog } from '../catalog/catalog.fixture.ts';
import { Accounts, FAILED_LOGINS_MAX, LOCK_MINUTES } from './accounts.ts';
import { PasswordHasher } from './password.ts';

const MINUTE_MILLIS = 60_000;

async function open() {
  const time = new VirtualTime();
  const random = new SeededRandom(1);
  const { catalog, commit, sequencer } = await openCatalog({ time, random });
  const hasher = new PasswordHasher({ memoryKib: 64, iterations: 1 }, random);
  const accounts = new Accounts({ catalog, hasher, clock: time, commit });
  return { accounts, catalog, time, sequencer };
}

const request = { user: 'admin', password: 'Golden-Pass-1', rootPassword: 'Golden-Pass-2', email: 'admin@example.org' };

async function withAlice() {
  const world = await open();
  const alice = { userId: 'alice', role: 'user', authType: 'Password', password: 'right', authData: undefined, email: undefined } as const;
  await world.accounts.createUser(alice);
  return { ...world, alice };
}

async function fail(accounts: Accounts, times: number): Promise<void> {
  for (let attempt = 0; attempt < times; attempt++) {
    await expect(accounts.login('alice', 'wrong')).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
  }
}

describe('setup', () => {
  it('is asked for until root has a password, and happens once', async () => {
    const { accounts } = await open();
    expect(accounts.needsSetup()).toBe(true);
    await expect(accounts.login('root', '')).rejects.toMatchObject({ code: 'SETUP_REQUIRED' });
    await expect(accounts.login('root', 'something')).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
    expect(await accounts.setup(request)).toMatchObject({ userId: 'admin', role: 'dba', email: 'admin@example.org', authType: 'Password' });
    expect(accounts.needsSetup()).toBe(false);
    await expect(accounts.setup({ ...request, user: 'other' })).rejects.toMatchObject({ code: 'ALREADY_CONFIGURED' });
    expect(await accounts.login('root', 'Golden-Pass-2')).toMatchObject({ role: 'system', authType: 'Internal' });
    expect(await accounts.login('admin', 'Golden-Pass-1')).toMatchObject({ role: 'dba' });
    await expect(accounts.login('root', '')).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
  });

  it('refuses weak passwords and bad names with the texts of the original', async () => {
    const { accounts } = await open();
    const texts: readonly (readonly [Partial<typeof request>, string])[] = [
      [{ password: 'short' }, 'DBA user password: Weak password: Password must be at least 8 characters (weak)'],
      [{ rootPassword: 'password' }, 'Root password: Weak password: Password is too common'],
      [{ password: 'x'.repeat(73) }, 'DBA user password: Weak password: Password must be at most 72 characters'],
      [{ user: 'a/b' }, 'Invalid user value'],
      [{ user: 'root' }, "Cannot create a DBA user with user 'root'. Choose a different user."],
    ];
    for (const [part, message] of texts) await expect(accounts.setup({ ...request, ...part })).rejects.toThrow(message);
    expect(accounts.needsSetup()).toBe(true);
  });

  it('lets one of two concurrent attempts win', async () => {
    const { accounts } = await open();
    const results = await Promise.allSettled([accounts.setup(request), accounts.setup({ ...request, user: 'other' })]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect([accounts.find('admin'), accounts.find('other')].filter((found) => found !== undefined)).toHaveLength(1);
  });
});

describe('login', () => {
  it('refuses unknown, dropped and password-less users alike', async () => {
    const { accounts, alice } = await withAlice();
    await accounts.createUser({ ...alice, userId: 'octo', authType: 'OAuth', password: undefined });
    await accounts.createUser({ ...alice, userId: 'gone' });
    expect(await accounts.dropUser('gone')).toBe(true);
    expect(await accounts.dropUser('gone')).toBe(false);
    for (const user of ['nobody', 'octo', 'gone', '']) {
      await expect(accounts.login(user, 'right')).rejects.toMatchObject({ code: 'LOGIN_REFUSED', message: 'Invalid credentials' });
    }
    expect(accounts.find('gone')?.deletedAtMicros).toBeDefined();
    await expect(accounts.createUser({ ...alice, userId: 'gone' })).rejects.toMatchObject({ code: 'USER_EXISTS' });
  });

  it('locks an account after too many failures and opens it again', async () => {
    const { accounts, time } = await withAlice();
    await fail(accounts, FAILED_LOGINS_MAX);
    await expect(accounts.login('alice', 'right')).rejects.toThrow(`${LOCK_MINUTES} minute(s)`);
    time.advance(LOCK_MINUTES * MINUTE_MILLIS - 1);
    await expect(accounts.login('alice', 'right')).rejects.toThrow('1 minute(s)');
    time.advance(1);
    await fail(accounts, FAILED_LOGINS_MAX - 1);
    expect(await accounts.login('alice', 'right')).toMatchObject({ userId: 'alice' });
    await fail(accounts, FAILED_LOGINS_MAX - 1);
    expect(await accounts.login('alice', 'right')).toMatchObject({ userId: 'alice' });
  });

  it('counts guesses that are made at the same time', async () => {
    const { accounts, catalog } = await withAlice();
    const guesses = Array.from({ length: 20 }, () => accounts.login('alice', 'wrong'));
    await Promise.allSettled([...guesses, accounts.login('alice', 'right')]);
    expect(catalog.user('alice')?.lockedUntilMicros).toBeDefined();
    await expect(accounts.login('alice', 'right')).rejects.toMatchObject({ code: 'ACCOUNT_LOCKED' });
  });

  it('notes the last login, at most once a second', async () => {
    const { accounts, catalog, time, sequencer } = await withAlice();
    await accounts.login('alice', 'right');
    const first = catalog.user('alice')?.lastLoginAtMicros;
    expect(first).toBe(BigInt(time.now()) * 1000n);
    const watermark = sequencer.watermark;
    await accounts.login('alice', 'right');
    expect(sequencer.watermark).toBe(watermark);
    time.advance(1000);
    await accounts.login('alice', 'right');
    expect(catalog.user('alice')?.lastLoginAtMicros).toBe((first ?? 0n) + 1_000_000n);
  });

  it('refuses a login whose user was dropped while its password was checked', async () => {
    const { accounts } = await withAlice();
    const login = accounts.login('alice', 'right');
    await accounts.dropUser('alice');
    await expect(login).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
  });
});

describe('names', () => {
  it('that could leave a path or be nobody are refused', async () => {
    const { accounts, alice } = await withAlice();
    for (const userId of ['', ' ', 'a/b', '../b', 'a\\b', 'a\0b', 'a..b', 'x'.repeat(129), '\ud800']) {
      await expect(accounts.createUser({ ...alice, userId })).rejects.toMatchObject({ code: 'INVALID_NAME' });
    }
    await expect(accounts.createUser({ ...alice, userId: 'b', password: '' })).rejects.toThrow('Password cannot be empty');
  });
});

describe('password hashes', () => {
  it('are argon2id with the cost of the options, salted, and verify only their password', async () => {
    const hasher = new PasswordHasher({ memoryKib: 64, iterations: 1 }, new SeededRandom(7));
    const [one, two] = await Promise.all([hasher.hash('secret'), hasher.hash('secret')]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=64,t=1,p=1\$/);
    expect(one).not.toBe(two);
    expect(await hasher.verify('secret', one)).toBe(true);
    expect(await hasher.verify('Secret', one)).toBe(false);
    expect(await hasher.verify('secret', undefined)).toBe(false);
  });

  it('that wait are bounded', async () => {
    const hasher = new PasswordHasher({ memoryKib: 64, iterations: 1 }, new SeededRandom(7));
    const results = await Promise.allSettled(Array.from({ length: 300 }, () => hasher.verify('x', undefined)));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(300 - 258);
    expect(refused[0]?.reason).toMatchObject({ code: 'TOO_MANY_LOGINS' });
    expect(await hasher.verify('x', undefined)).toBe(false);
  });
});
