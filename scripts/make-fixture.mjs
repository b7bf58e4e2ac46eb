#!/usr/bin/env node
/**
 * Writes the data directory that later releases must open: `packages/engine/fixtures/format-N.json.gz`, its files, and what statements answer
 * on them. Run it once for each format of the data directory, with the release that introduces it, after a build.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openDatabase } from '../packages/engine/dist/index.js';
import { directoryFormat } from '../packages/storage/dist/index.js';

const ROOT = { userId: 'root', role: 'system' };
const USERS = ['alice', 'bob'];
const NAMESPACE = 'old';

/** `[who, statement]`: what is kept in the fixture, and what it must answer later. */
const QUESTIONS = [
  ['root', 'SELECT *, _seq, _deleted FROM old.everything ORDER BY id'],
  ['root', 'SELECT *, _seq, _deleted FROM old.everything WHERE _deleted = true ORDER BY id'],
  ...USERS.flatMap((user) => [
    [user, 'SELECT *, _seq, _deleted FROM old.notes ORDER BY id'],
    [user, 'SELECT *, _seq, _deleted FROM old.notes WHERE _deleted = true ORDER BY id'],
  ]),
  ['root', 'SELECT * FROM old.few ORDER BY id'],
  ['root', 'SELECT count(*) FROM old.events'],
  ['root', 'SELECT t.id, n.txt FROM old.everything t JOIN old.pairs n ON n.id = t.id ORDER BY t.id'],
  ['root', 'SELECT a, b, txt FROM old.composite ORDER BY a, b'],
  [
    'root',
    "SELECT namespace_id, table_name, schema_version, table_type, is_latest FROM system.schemas WHERE namespace_id = 'old' ORDER BY table_name, schema_version",
  ],
  ['root', 'SELECT user_id, role, auth_type FROM system.users ORDER BY user_id'],
  ['root', "SELECT table_name, scope FROM system.manifest WHERE namespace_id = 'old' ORDER BY table_name, scope"],
  ['root', 'SELECT storage_id, storage_type FROM system.storages ORDER BY storage_id'],
];

const folder = await mkdtemp(join(tmpdir(), 'kalamdb-fixture-'));
const database = await openDatabase({
  directory: join(folder, 'data'),
  durability: 'sync',
  logFileBytes: 131_072,
  rootPassword: 'Root-Secret-1',
  passwordCost: { memoryKib: 64, iterations: 1 },
});

const run = async (sql, user = 'root') => {
  const principal = user === 'root' ? ROOT : { userId: user, role: 'user' };
  const result = (await database.session(principal, { namespace: NAMESPACE }).execute(sql, [])).at(-1);
  return result.kind === 'rows' ? result.rows : result.message;
};
const flush = async (name, owner = '') => {
  const table = database.cold.catalog.table(NAMESPACE, name);
  await database.cold.flusher.flushPartition(table.partitionFor(owner));
};
const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_key, cell) => (typeof cell === 'bigint' ? `${cell}n` : ArrayBuffer.isView(cell) ? [...cell] : cell)));

await run('CREATE NAMESPACE old');
for (const user of USERS) await run(`CREATE USER '${user}' WITH PASSWORD '${user}-Secret-1' ROLE user`);
await run(`CREATE TABLE old.everything (id INT PRIMARY KEY, small SMALLINT, big BIGINT, flag BOOLEAN, real FLOAT, num DOUBLE, amount DECIMAL(10, 2),
  txt TEXT, at TIMESTAMP, day DATE, clock TIME, doc JSON, raw BYTES, uid UUID, vec EMBEDDING(3)) WITH (TYPE='SHARED', ACCESS_LEVEL='public')`);
await run("CREATE TABLE old.notes (id BIGINT PRIMARY KEY, txt TEXT) WITH (TYPE='USER')");
await run("CREATE TABLE old.pairs (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='public')");
await run("CREATE TABLE old.composite (a INT PRIMARY KEY, b TEXT, txt TEXT) WITH (TYPE='SHARED', ACCESS_LEVEL='public')");
await run("CREATE TABLE old.events (id INT PRIMARY KEY, txt TEXT) WITH (TYPE='STREAM', TTL_SECONDS=60)");
await run('CREATE VIEW old.few AS SELECT id, txt FROM old.everything WHERE id < 3');
for (let id = 0; id < 12; id++) {
  await run(`INSERT INTO old.everything VALUES (${id}, ${id - 5}, ${id}000000000000, ${id % 2 === 0}, ${id}.5, ${id}.25, ${id}.75, 'text ${id} äöü',
    '2026-01-${10 + id}T10:20:30.123456', '2026-02-${10 + id}', '10:20:${10 + id}', '{"n":${id}}', '\\\\x00ff${10 + id}', '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a${10 + id}', '[${id}, 1.5, -2]')`);
  await run(`INSERT INTO old.pairs VALUES (${id}, 'pair ${id}')`);
  await run(`INSERT INTO old.composite VALUES (${id}, 'b${id}', 'c')`);
  for (const user of USERS) await run(`INSERT INTO old.notes VALUES (${id}, '${user} ${id}')`, user);
}
await run('INSERT INTO old.everything (id) VALUES (100)');
await flush('everything');
await flush('notes', 'alice');
await run("UPDATE old.everything SET txt = 'changed' WHERE id = 2; DELETE FROM old.everything WHERE id = 4");
await run('ALTER TABLE old.everything ADD COLUMN more INT DEFAULT 7');
await run('INSERT INTO old.everything (id, more) VALUES (101, 8)');
await flush('everything');
await run(
  "UPDATE old.everything SET txt = 'hot' WHERE id = 6; DELETE FROM old.everything WHERE id = 8; DELETE FROM old.everything WHERE id = 101",
);
await run('DELETE FROM old.notes WHERE id = 3', 'alice');
const answers = [];
for (const [user, sql] of QUESTIONS) answers.push({ user, sql, rows: plain(await run(sql, user)) });
await database.close();

const files = {};
for (const entry of await readdir(join(folder, 'data'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.startsWith('LOCK-') || entry.name === 'lock.mdb') continue;
  const path = join(entry.parentPath, entry.name);
  files[relative(join(folder, 'data'), path)] = (await readFile(path)).toString('base64');
}
await rm(folder, { recursive: true });
const target = new URL(`../packages/engine/fixtures/format-${directoryFormat}.json.gz`, import.meta.url);
const packed = gzipSync(JSON.stringify({ format: directoryFormat, users: USERS, answers, files }), { level: 9 });
await writeFile(target, packed);
console.log(`${target.pathname}: ${packed.length} bytes, ${Object.keys(files).length} files`);
