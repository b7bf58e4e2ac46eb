import type { KalamError } from '@kalamdb/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { ALICE, BackupWorld } from './backup-world.fixture.ts';
import { ROOT } from './statement-world.fixture.ts';

let world: BackupWorld;
let cursors: Cursors;

/** What clients of the tables have seen last. */
interface Cursors {
  /** Older than the backup. */
  readonly early: bigint;
  /** Of the backup's time: nothing was written in between. */
  readonly last: bigint;
  /** From what was written behind the backup. */
  readonly behind: bigint;
}

const FOLLOWED = [
  ['shared', ROOT],
  ['notes', ALICE],
  ['events', ALICE],
] as const;

beforeEach(async () => {
  world = await BackupWorld.make();
  await world.open();
  await world.run("CREATE NAMESPACE app; CREATE USER 'alice' WITH PASSWORD 'Alice-Secret-1' ROLE user");
  await world.run("CREATE TABLE app.shared (id INT PRIMARY KEY) WITH (TYPE='SHARED')");
  await world.run("CREATE TABLE app.notes (id INT PRIMARY KEY) WITH (TYPE='USER')");
  await world.run("CREATE TABLE app.events (id INT PRIMARY KEY) WITH (TYPE='STREAM', TTL_SECONDS=3600)");
});
afterEach(() => world.remove());

const insert = async (id: number): Promise<bigint> => {
  for (const [table, principal] of FOLLOWED) await world.run(`INSERT INTO app.${table} (id) VALUES (${id})`, principal);
  return world.database.status().watermark;
};

const fillAround = async (backup: string): Promise<void> => {
  const early = await insert(1);
  await world.flush('shared');
  const last = await insert(2);
  expect(await world.job(backup)).toMatchObject({ status: 'completed' });
  await insert(3);
  cursors = { early, last, behind: await insert(4) };
};

/** How a client that comes back with its cursor is answered. */
const resumed = async (table: string, from: bigint, principal: Principal): Promise<string> => {
  const connection = world.database.live.connect(principal, { connectionId: 'c', sink: { deliver: () => undefined } });
  try {
    await connection.subscribe({ id: 's', sql: `SELECT * FROM app.${table}`, options: { from } });
    return 'resumed';
  } catch (error) {
    return (error as KalamError).code;
  } finally {
    connection.close();
  }
};

const answers = async (from: bigint): Promise<Record<string, string>> => {
  const found: Record<string, string> = {};
  for (const [table, principal] of FOLLOWED) found[table] = await resumed(table, from, principal);
  return found;
};

const ALL_REFUSED = { shared: 'RESYNC_REQUIRED', notes: 'RESYNC_REQUIRED', events: 'RESYNC_REQUIRED' };
const ALL_RESUMED = { shared: 'resumed', notes: 'resumed', events: 'resumed' };

describe('a client that comes back', () => {
  it('to a database that was restored begins anew when it has seen what is behind the backup, however much was written since', async () => {
    await fillAround(`BACKUP DATABASE TO '${world.path('b')}'`);
    expect(await answers(cursors.last)).toEqual(ALL_RESUMED);
    await world.job(`RESTORE DATABASE FROM '${world.path('b')}'`);
    for (let life = 0; life < 2; life++) {
      await world.open();
      expect(await answers(cursors.behind)).toEqual(ALL_REFUSED);
      const newer = await insert(10 + life);
      expect(newer).toBeGreaterThan(cursors.behind);
      expect(await answers(cursors.behind)).toEqual(ALL_REFUSED);
      // Rows are as these clients have seen them; of streams nothing came back.
      for (const from of [cursors.early, cursors.last]) expect(await answers(from)).toEqual({ ...ALL_RESUMED, events: 'RESYNC_REQUIRED' });
      expect(await answers(newer)).toEqual(ALL_RESUMED);
    }
  });

  it('to a namespace that was restored begins anew, whatever it has seen', async () => {
    await fillAround(`BACKUP DATABASE app TO '${world.path('b')}'`);
    await world.run('DROP NAMESPACE app CASCADE');
    await world.job(`RESTORE DATABASE app FROM '${world.path('b')}'`);
    for (let life = 0; life < 2; life++) {
      for (const from of Object.values(cursors)) expect(await answers(from)).toEqual(ALL_REFUSED);
      const newer = await insert(10 + life);
      for (const from of Object.values(cursors)) expect(await answers(from)).toEqual(ALL_REFUSED);
      expect(await answers(newer)).toEqual(ALL_RESUMED);
      await world.open();
    }
  });
});
