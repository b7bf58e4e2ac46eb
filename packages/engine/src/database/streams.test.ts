import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { SetClock, StatementWorld } from './statement-world.fixture.ts';

const ALICE: Principal = { userId: 'alice', role: 'user' };
const BOB: Principal = { userId: 'bob', role: 'user' };
const STREAMS = 1000;
const EPHEMERAL = "CREATE STREAM TABLE app.typing (who STRING, n INT) WITH (retention = '10s', ephemeral = true, max_buffer = 3)";
let world: StatementWorld;
let clock: SetClock;

beforeEach(async () => {
  clock = new SetClock();
  world = await StatementWorld.open({ clock });
});
afterEach(() => world.close());

describe('an ephemeral stream', () => {
  it('takes events only while somebody subscribes to it', async () => {
    await world.run(EPHEMERAL);
    expect(await world.run("INSERT INTO typing VALUES ('alice', 1), ('alice', 2)", ALICE)).toBe('Inserted 0 row(s)');
    expect(await world.run("INSERT INTO typing VALUES ('alice', 1) RETURNING n", ALICE)).toEqual([]);
    expect(await world.run('SELECT * FROM typing')).toEqual([]);
    const { changes, close } = await world.follow('SELECT who, n FROM app.typing WHERE n > 1', BOB);
    expect(await world.run("INSERT INTO typing VALUES ('alice', 3), ('alice', 1)", ALICE)).toBe('Inserted 2 row(s)');
    expect(changes.map(({ rows }) => rows.map(({ n }) => n))).toEqual([[3]]);
    expect(await world.run('SELECT n FROM typing ORDER BY n', BOB)).toEqual([[1], [3]]);
    close();
    expect(await world.run("INSERT INTO typing VALUES ('alice', 4)", ALICE)).toBe('Inserted 0 row(s)');
    expect(await world.run('SELECT count(*) FROM typing')).toEqual([[2n]]);
  });

  it('of each user asks for subscribers of that user', async () => {
    await world.run("CREATE STREAM TABLE app.own (n INT) WITH (TTL_SECONDS = 10, EPHEMERAL = TRUE, SCOPE = 'USER')");
    const { changes } = await world.follow('SELECT n FROM app.own', BOB);
    expect(await world.run('INSERT INTO own VALUES (1)', ALICE)).toBe('Inserted 0 row(s)');
    expect(await world.run('INSERT INTO own VALUES (2)', BOB)).toBe('Inserted 1 row(s)');
    expect(changes).toHaveLength(1);
  });

  it('refuses what could not be stored, whoever listens', async () => {
    await world.run('CREATE STREAM TABLE app.s (id INT PRIMARY KEY, n INT NOT NULL) WITH (TTL_SECONDS = 10, EPHEMERAL = TRUE)');
    expect(await world.outcome('INSERT INTO s (id) VALUES (1)')).toContain('NOT_NULL_MISSING');
    expect(await world.outcome('INSERT INTO s VALUES (1, 1), (1, 2)')).toContain('DUPLICATE_KEY_IN_STATEMENT');
  });
});

describe('a stream', () => {
  it('of the older syntax shows its events to everybody, of the newer one to their inserter, unless it says otherwise', async () => {
    await world.run("CREATE STREAM TABLE app.a (n INT) WITH (retention = '10s')");
    await world.run('CREATE STREAM TABLE app.b (n INT) WITH (TTL_SECONDS = 10)');
    await world.run("CREATE STREAM TABLE app.c (n INT) WITH (TTL_SECONDS = 10, SCOPE = 'SHARED')");
    await world.run("CREATE STREAM TABLE app.d (n INT) WITH (retention = '10s', SCOPE = 'USER')");
    for (const name of ['a', 'b', 'c', 'd']) await world.run(`INSERT INTO ${name} VALUES (1)`, ALICE);
    const seen = await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.run(`SELECT n FROM ${name}`, BOB)));
    expect(seen).toEqual([[[1]], [], [[1]], []]);
  });

  it('keeps max_buffer events for retention', async () => {
    await world.run("CREATE STREAM TABLE app.s (n INT) WITH (retention = '1s', max_buffer = 3)");
    await world.run('INSERT INTO s VALUES (1), (2), (3), (4), (5)');
    expect(await world.run('SELECT n FROM s ORDER BY n')).toEqual([[3], [4], [5]]);
    clock.millis += 999;
    await world.run('INSERT INTO s VALUES (6)');
    expect(await world.run('SELECT n FROM s ORDER BY n')).toEqual([[4], [5], [6]]);
    clock.millis += 1;
    expect(await world.run('SELECT n FROM s ORDER BY n')).toEqual([[6]]);
  });

  it('refuses UPDATE, ALTER, transactions and DO UPDATE, and a key that it holds', async () => {
    await world.run('CREATE STREAM TABLE app.k (id INT PRIMARY KEY, n INT) WITH (TTL_SECONDS = 60)');
    await world.run('INSERT INTO k VALUES (1, 1)');
    expect(await world.outcome('UPDATE k SET n = 2 WHERE id = 1')).toContain('UPDATE not supported for STREAM tables');
    expect(await world.outcome('INSERT INTO k VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET n = 2')).toContain('STREAM_UPDATE');
    expect(await world.outcome('ALTER TABLE k ADD COLUMN x INT')).toContain('ALTER TABLE is not supported for STREAM tables');
    expect(await world.outcome('BEGIN; DELETE FROM k WHERE id = 1; COMMIT')).toContain(
      'stream tables are not supported inside explicit transactions',
    );
    expect(await world.outcome('INSERT INTO k VALUES (1, 2)')).toContain('DUPLICATE_KEY');
    expect(await world.run('INSERT INTO k VALUES (1, 2), (2, 2) ON CONFLICT DO NOTHING RETURNING id')).toEqual([[2]]);
  });

  it('forgets what is deleted, with a key or without', async () => {
    await world.run('CREATE STREAM TABLE app.e (kind TEXT, n INT) WITH (TTL_SECONDS = 60)');
    await world.run("INSERT INTO e VALUES ('x', 1), ('y', 2), ('x', 3)");
    expect(await world.run("DELETE FROM e WHERE kind = 'x' RETURNING n")).toEqual([[1], [3]]);
    expect(await world.run("DELETE FROM e WHERE kind = 'x'")).toBe('Deleted 0 row(s)');
    expect(await world.run('SELECT n, _deleted FROM e WHERE _deleted IN (true, false)')).toEqual([[2, false]]);
    expect(await world.outcome('INSERT INTO e VALUES (1) ON CONFLICT (kind) DO NOTHING')).toContain('(it has none)');
    expect(await world.run("INSERT INTO e VALUES ('z', 1) ON CONFLICT DO NOTHING")).toBe('Inserted 1 row(s)');
  });

  it('tells of its options', async () => {
    await world.run(EPHEMERAL);
    const options = (await world.run("SELECT options FROM system.tables WHERE table_name = 'typing'")) as [[string]];
    expect(JSON.parse(options[0][0])).toMatchObject({
      table_type: 'STREAM',
      ttl_seconds: 10,
      scope: 'shared',
      ephemeral: true,
      max_buffer: 3,
    });
    const properties = new Map((await world.run('DESCRIBE TABLE typing EXTENDED')) as [string, string][]);
    expect(Object.fromEntries(properties)).toMatchObject({
      table_id: 'app:typing',
      table_type: 'stream',
      storage_location: 'N/A',
      flush_policy: 'N/A',
      schema_version: '1',
      scope: 'shared',
      retention: '10s',
      ephemeral: 'true',
      max_buffer: '3',
    });
  });

  it('is one of a thousand', async () => {
    for (let index = 0; index < STREAMS; index++) await world.run(`CREATE STREAM TABLE app.s${index} (n INT) WITH (retention = '60s')`);
    for (let index = 0; index < STREAMS; index++) await world.run(`INSERT INTO s${index} VALUES (${index})`);
    expect(await world.run(`SELECT n FROM s${STREAMS - 1}`)).toEqual([[STREAMS - 1]]);
    expect(await world.run("SELECT count(*) FROM system.tables WHERE table_type = 'stream'")).toEqual([[BigInt(STREAMS)]]);
  });
});
