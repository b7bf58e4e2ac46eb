import { describe, expect, it } from 'vitest';
import { auditRows, openAccessWorld } from './access-world.fixture.ts';
import type { Actor, NewAccount } from './users.ts';

const root: Actor = { userId: 'root', role: 'system', address: '10.0.0.1' };
const dora: Actor = { userId: 'dora', role: 'dba' };
const person: NewAccount = { userId: 'u', role: 'user', authType: 'Password', password: 'pw', identity: undefined, email: undefined };
const identity = { provider: 'google', providerType: 'google', subject: 's' };

describe('changing users', () => {
  it('is in the audit log, without passwords', async () => {
    const world = await openAccessWorld();
    await world.users.create(person, root);
    await world.users.alter('u', { kind: 'password', password: 'other-secret' }, root);
    await world.users.alter('u', { kind: 'role', role: 'dba' }, root);
    await world.users.alter('u', { kind: 'email', email: 'u@example.org' }, root);
    await world.users.drop('u', root);
    expect(auditRows(world).map(({ action, details, address }) => [action, details, address])).toEqual([
      ['CREATE_USER', 'Role: User', '10.0.0.1'],
      ['ALTER_USER', 'SetPassword([REDACTED])', '10.0.0.1'],
      ['ALTER_USER', 'SetRole(Dba)', '10.0.0.1'],
      ['ALTER_USER', 'SetEmail(u@example.org)', '10.0.0.1'],
      ['DROP_USER', undefined, '10.0.0.1'],
    ]);
  });

  it('keeps system users to system users, and root what it is', async () => {
    const { users } = await openAccessWorld();
    await users.create({ ...person, userId: 'sys', role: 'system' }, root);
    await expect(users.create({ ...person, role: 'system' }, dora)).rejects.toThrow('DBA cannot grant System role');
    await users.create(person, dora);
    await expect(users.alter('u', { kind: 'role', role: 'system' }, dora)).rejects.toThrow('DBA cannot grant System role');
    await expect(users.alter('sys', { kind: 'role', role: 'user' }, dora)).rejects.toThrow('DBA cannot alter a System user');
    await expect(users.alter('root', { kind: 'password', password: 'x' }, dora)).rejects.toThrow('DBA cannot alter a System user');
    await expect(users.drop('sys', dora)).rejects.toThrow('DBA cannot drop a System user');
    await expect(users.drop('root', root)).rejects.toThrow("User 'root' cannot be dropped");
    await expect(users.alter('root', { kind: 'role', role: 'dba' }, root)).rejects.toThrow("The role of user 'root' cannot be changed");
    await users.alter('root', { kind: 'role', role: 'system' }, root);
    await users.alter('root', { kind: 'password', password: 'next' }, root);
  });

  it('finds dropped users no more, and takes a lock off with a new password', async () => {
    const { accounts, users } = await openAccessWorld();
    await users.create(person, root);
    for (let i = 0; i < 5; i++) await expect(accounts.login('u', 'wrong')).rejects.toMatchObject({ code: 'LOGIN_REFUSED' });
    await expect(accounts.login('u', 'pw')).rejects.toMatchObject({ code: 'ACCOUNT_LOCKED' });
    await users.alter('u', { kind: 'password', password: 'next' }, root);
    expect(await accounts.login('u', 'next')).toMatchObject({ userId: 'u' });
    await users.drop('u', root);
    for (const name of ['u', 'nobody']) {
      await expect(users.alter(name, { kind: 'email', email: 'x' }, root)).rejects.toMatchObject({ code: 'USER_NOT_FOUND' });
    }
  });

  it('takes any password that a login takes, and complex ones when that is wanted', async () => {
    const free = await openAccessWorld();
    await free.users.create({ ...person, password: 'password' }, root);
    for (const password of ['', 'x'.repeat(257)]) {
      await expect(free.users.alter('u', { kind: 'password', password }, root)).rejects.toMatchObject({ code: 'INVALID_OPERATION' });
    }
    const strict = await openAccessWorld({ passwordRules: { bytesMin: 8, bytesMax: 72, complexity: true } });
    const texts = { x: 'uppercase letter', X: 'lowercase letter', Xx: 'digit', Xx1: 'special character' };
    for (const [password, text] of Object.entries(texts)) {
      await expect(strict.users.create({ ...person, password }, root)).rejects.toThrow(`Password must include at least one ${text}`);
    }
    await strict.users.create({ ...person, password: 'Xx1!' }, root);
  });
});

describe('identities of providers', () => {
  const vouched: NewAccount = { ...person, authType: 'OAuth', password: undefined, identity };

  it('belong to one user at a time; a dropped one gives it free', async () => {
    const { users, reopen } = await openAccessWorld();
    const both = await Promise.allSettled([users.create(vouched, root), users.create({ ...vouched, userId: 'v' }, root)]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(users.byIdentity(identity)).toMatchObject({ userId: 'u' });
    await users.drop('u', root);
    expect(users.byIdentity(identity)?.deletedAtMicros).toBeDefined();
    await users.create({ ...vouched, userId: 'v' }, root);
    expect(users.byIdentity(identity)).toMatchObject({ userId: 'v', deletedAtMicros: undefined });
    expect((await reopen()).users.byIdentity(identity)).toMatchObject({ userId: 'v', deletedAtMicros: undefined });
    expect(users.byIdentity({ ...identity, subject: 'other' })).toBeUndefined();
    await expect(users.alter('v', { kind: 'password', password: 'x' }, root)).rejects.toThrow('signs in through its provider');
  });
});
