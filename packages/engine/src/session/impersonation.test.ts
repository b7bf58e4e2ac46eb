import { describe, expect, it } from 'vitest';
import { type AccessWorld, auditRows, openAccessWorld } from '../access/access-world.fixture.ts';
import type { Principal, Role } from '../contract.ts';
import { impersonated } from './impersonation.ts';

const ROLES: readonly Role[] = ['anonymous', 'user', 'service', 'dba', 'system'];
const root = { userId: 'root', role: 'system' } as const;

/** Whom each role may act for (sql-dialect B19), itself apart. */
const ALLOWED: Readonly<Record<Role, readonly Role[]>> = {
  anonymous: [],
  user: [],
  service: ['anonymous', 'user', 'service'],
  dba: ['anonymous', 'user', 'service', 'dba'],
  system: ROLES,
};

async function open(): Promise<AccessWorld> {
  const world = await openAccessWorld();
  for (const role of ROLES) {
    const person = { role, authType: 'Internal', password: undefined, identity: undefined, email: undefined } as const;
    await world.users.create({ ...person, userId: `${role}-a` }, root);
    await world.users.create({ ...person, userId: `${role}-gone` }, root);
    await world.users.drop(`${role}-gone`, root);
  }
  return world;
}

function attempt(world: AccessWorld, principal: Principal, user: string, inner = 'SELECT 1'): ReturnType<typeof impersonated> {
  const innerPosition = 0;
  return impersonated({ kind: 'execute-as-user', user, inner, innerPosition }, { principal, clientAddress: '10.0.0.1' }, world);
}

describe('EXECUTE AS USER', () => {
  it.each(ROLES.flatMap((actor) => ROLES.map((target) => [actor, target] as const)))('%s as %s', async (actor, target) => {
    const world = await open();
    const principal = { userId: 'someone', role: actor };
    for (const user of [`${target}-a`, `${target}-gone`]) {
      if (ALLOWED[actor].includes(target)) {
        expect(attempt(world, principal, user)).toEqual({ principal: { userId: user, role: 'user' }, sql: 'SELECT 1' });
      } else {
        expect(() => attempt(world, principal, user)).toThrow(expect.objectContaining({ code: 'EXECUTE_AS_DENIED' }));
      }
    }
  });

  it('takes a name that nobody has for a regular user, and oneself always', async () => {
    const world = await open();
    expect(attempt(world, { userId: 's', role: 'service' }, 'nobody').principal).toEqual({ userId: 'nobody', role: 'user' });
    expect(() => attempt(world, { userId: 'u', role: 'user' }, 'nobody')).toThrow('is not authorized');
    expect(attempt(world, { userId: 'dba-a', role: 'user' }, 'dba-a').principal).toEqual({ userId: 'dba-a', role: 'user' });
    for (const name of ['', '../x', 'a/b']) {
      expect(() => attempt(world, root, name)).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }));
    }
  });

  it('is written down without the values of the statement, whatever their form', async () => {
    const world = await open();
    const secret = 'hunter2';
    const statements = [
      `INSERT INTO a.t VALUES ('${secret}', 42, 'it''s ${secret}')`,
      `SELECT E'\\'${secret}' FROM a.t`,
      `SELECT $$${secret}$$`,
      `UPDATE a.t SET x = '${secret}${'y'.repeat(3000)}'`,
      `SELECT '${secret}`,
    ];
    for (const inner of statements) attempt(world, root, 'user-a', inner);
    attempt(world, root, 'root', 'SELECT nothing_to_tell');
    await world.audit.close();
    const rows = auditRows(world).filter(({ action }) => action === 'EXECUTE_AS_USER');
    expect(rows.map(({ details }) => details)).toEqual([
      'INSERT INTO a.t VALUES (?, ?, ?)',
      'SELECT ? FROM a.t',
      'SELECT ?',
      'UPDATE a.t SET x = ?',
      'SELECT ? (1 more like it)',
    ]);
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(rows[0]).toMatchObject({ actor: 'root', target: 'user:user-a', subject: 'user-a', address: '10.0.0.1' });
  });
});
