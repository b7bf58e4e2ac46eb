import { SeededRandom } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { auditRows, openAccessWorld } from './access-world.fixture.ts';
import { type Accounts, FAILED_LOGINS_MAX, LOCK_MINUTES } from './accounts.ts';
import { HASHES_MAX, PasswordHasher, WAITING_HASHES_MAX } from './password.ts';

const MINUTE_MILLIS = 60_000;

const open = openAccessWorld;
const root = { userId: 'root', role: 'system' } as const;

const request = { user: 'admin', password: 'Golden-Pass-1', rootPassword: 'Golden-Pass-2', email: 'admin@example.org' };

async function withAlice() {
  const world = await open();
  const alice = { userId: 'alice', role: 'user', authType: 'Password', password: 'right', identity: undefined, email: undefined } as const;
  await world.users.create(alice, root);
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
    const { accounts, alice, users } = await withAlice();
    await users.create({ ...alice, userId: 'octo', authType: 'OAuth', password: undefined }, root);
    await users.create({ ...alice, userId: 'gone' }, root);
    expect(await users.drop('gone', root)).toBe(true);
    expect(await users.drop('gone', root)).toBe(false);
    for (const user of ['nobody', 'octo', 'gone', '']) {
      await expect(accounts.login(user, 'right')).rejects.toMatchObject({ code: 'LOGIN_REFUSED', message: 'Invalid credentials' });
    }
    expect(accounts.find('gone')?.deletedAtMicros).toBeDefined();
    await expect(users.create({ ...alice, userId: 'gone' }, root)).rejects.toMatchObject({ code: 'USER_EXISTS' });
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

  it('tells of a lock whether or not a guess of many at once was right', async () => {
    const { accounts } = await withAlice();
    const guesses = Array.from({ length: 20 }, (_, index) => accounts.login('alice', index === 15 ? 'right' : 'wrong'));
    const codes = (await Promise.allSettled(guesses)).map((guess) =>
      guess.status === 'rejected' ? (guess.reason as { code: string }).code : 'in',
    );
    expect(codes.filter((code) => code === 'LOGIN_REFUSED')).toHaveLength(FAILED_LOGINS_MAX);
    expect(codes.filter((code) => code === 'ACCOUNT_LOCKED')).toHaveLength(20 - FAILED_LOGINS_MAX);
  });

  it('costs a hash whoever is named', async () => {
    const { accounts } = await withAlice();
    for (const user of ['alice', 'nobody']) {
      const count = HASHES_MAX + WAITING_HASHES_MAX + 1;
      const attempts = await Promise.allSettled(Array.from({ length: count }, () => accounts.login(user, 'wrong')));
      expect(attempts.filter((one) => (one as { reason: { code: string } }).reason.code === 'TOO_MANY_LOGINS')).toHaveLength(1);
    }
  });

  it('keeps a lock over a restart', async () => {
    const world = await withAlice();
    await fail(world.accounts, FAILED_LOGINS_MAX);
    const again = await world.reopen();
    await expect(again.accounts.login('alice', 'right')).rejects.toMatchObject({ code: 'ACCOUNT_LOCKED' });
  });

  it('writes down logins of admins, locks, and failures without the names of nobody', async () => {
    const world = await withAlice();
    await world.users.create({ ...world.alice, userId: 'dora', role: 'dba' }, root);
    await world.accounts.login('alice', 'right', { address: '10.0.0.1' });
    await world.accounts.login('dora', 'right', { address: '10.0.0.1' });
    await expect(world.accounts.login('my secret', 'x', { address: '10.0.0.2' })).rejects.toThrow();
    await fail(world.accounts, FAILED_LOGINS_MAX);
    await world.audit.close();
    expect(auditRows(world).map(({ actor, action, target, details, address }) => [actor, action, target, details, address])).toEqual([
      ['root', 'CREATE_USER', 'user:alice', 'Role: User', undefined],
      ['root', 'CREATE_USER', 'user:dora', 'Role: Dba', undefined],
      ['dora', 'LOGIN', 'user:dora', undefined, '10.0.0.1'],
      ['anonymous', 'ACCOUNT_LOCKED', 'user:alice', '15 minutes after 5 failed logins', undefined],
      ['anonymous', 'LOGIN_FAILED', 'user:(unknown)', undefined, '10.0.0.2'],
      ['anonymous', 'LOGIN_FAILED', 'user:alice', undefined, undefined],
      ['anonymous', 'LOGIN_FAILED', 'user:alice', '(4 more like it)', undefined],
    ]);
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
    const { accounts, users } = await withAlice();
    const login = accounts.login('alice', 'right');
    await users.drop('alice', root);
    await expect(login).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
  });
});

describe('changing a password', () => {
  const change = (current: string, next: string) => ({ current, next });

  it('takes the current one, follows the rules, and ends what was made under the old one', async () => {
    const { accounts } = await withAlice();
    const before = accounts.passwordFingerprint('alice');
    await expect(accounts.changePassword('alice', change('right', 'short'), {})).rejects.toMatchObject({ code: 'WEAK_PASSWORD' });
    await expect(accounts.changePassword('alice', change('wrong', 'Golden-Pass-9'), {})).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
    expect(accounts.passwordFingerprint('alice')).toBe(before);
    expect(await accounts.changePassword('alice', change('right', 'Golden-Pass-9'), {})).toMatchObject({ userId: 'alice' });
    expect(accounts.passwordFingerprint('alice')).not.toBe(before);
    await expect(accounts.login('alice', 'right')).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
    expect(await accounts.login('alice', 'Golden-Pass-9')).toMatchObject({ userId: 'alice' });
  });

  it('counts wrong guesses, and is not for users without a password', async () => {
    const { accounts, alice, users } = await withAlice();
    for (let attempt = 0; attempt < FAILED_LOGINS_MAX; attempt++) {
      await expect(accounts.changePassword('alice', change('wrong', 'Golden-Pass-9'), {})).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
    }
    await expect(accounts.changePassword('alice', change('right', 'Golden-Pass-9'), {})).rejects.toMatchObject({ code: 'ACCOUNT_LOCKED' });
    await users.create({ ...alice, userId: 'bot', authType: 'Internal', password: undefined }, root);
    await expect(accounts.changePassword('bot', change('', 'Golden-Pass-9'), {})).rejects.toMatchObject({ code: 'PASSWORD_NOT_USED' });
  });
});

describe('names', () => {
  it('that could leave a path or be nobody are refused', async () => {
    const { users, alice } = await withAlice();
    for (const userId of ['', ' ', 'a/b', '../b', 'a\\b', 'a\0b', 'a..b', 'x'.repeat(129), '\ud800']) {
      await expect(users.create({ ...alice, userId }, root)).rejects.toMatchObject({ code: 'INVALID_NAME' });
    }
    await expect(users.create({ ...alice, userId: 'b', password: '' }, root)).rejects.toThrow('Password cannot be empty');
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
    expect(refused).toHaveLength(300 - HASHES_MAX - WAITING_HASHES_MAX);
    expect(refused[0]?.reason).toMatchObject({ code: 'TOO_MANY_LOGINS' });
    expect(await hasher.verify('x', undefined)).toBe(false);
  });
});
