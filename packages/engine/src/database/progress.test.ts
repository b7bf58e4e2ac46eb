import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kalamdb-progress-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

it('a client that was told of progress past events goes on after a restart, which forgets them, and misses nothing', async () => {
  const before = await StatementWorld.open({ directory });
  await before.run("CREATE TABLE app.t (id INT PRIMARY KEY) WITH (TYPE = 'SHARED')");
  await before.run("CREATE TABLE app.e (id INT PRIMARY KEY) WITH (TYPE = 'STREAM', TTL_SECONDS = 3600)");
  const client = new SimulatedClient();
  const connection = before.database.live.connect(ROOT, { connectionId: 'c', sink: client, tellsEndings: true });
  await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: {} });
  await before.run('INSERT INTO app.t VALUES (1)');
  await before.run("CREATE TABLE app.other (id INT PRIMARY KEY) WITH (TYPE = 'SHARED')");
  await before.run('INSERT INTO app.e VALUES (1), (2), (3)');
  connection.progress();
  expect(client.frames.at(-1)?.kind).toBe('progress');
  await before.run('INSERT INTO app.e VALUES (4)');
  connection.progress();
  await before.close();

  const after = await StatementWorld.open({ directory });
  client.reconnected();
  const again = after.database.live.connect(ROOT, { connectionId: 'c', sink: client });
  await again.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: { from: client.highest } });
  await after.run('INSERT INTO app.t VALUES (2)');
  expect([[...client.rows.keys()], client.problems, client.ended]).toEqual([[1, 2], [], undefined]);
  await after.close();
});
