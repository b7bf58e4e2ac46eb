import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KalamError } from '@kalamdb/protocol';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal, StatementResult } from '../contract.ts';
import type { Database } from '../database/database.ts';
import { type DatabaseOptions, openDatabase } from '../database/open-database.ts';
import type { LiveFrame } from '../live/frame.ts';
import { StatementError } from '../session/statement-error.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const ALICE: Principal = { userId: 'alice', role: 'service' };
const BOB: Principal = { userId: 'bob', role: 'user' };
const ID = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

let time: VirtualTime;
let database: Database;

async function open(options: Partial<DatabaseOptions> = {}): Promise<void> {
  time = new VirtualTime();
  const common = { directory: undefined, durability: 'relaxed', clock: time, timers: time, random: new SeededRandom(1) } as const;
  database = await openDatabase({ ...common, ...options });
  cleanups.push(async () => {
    let closed = false;
    const closing = database.close().then(() => {
      closed = true;
    });
    while (!closed) {
      time.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closing;
  });
  await run(ROOT, 'CREATE NAMESPACE app');
  await run(
    ROOT,
    'CREATE USER TABLE app.mine (id INT PRIMARY KEY, name TEXT NOT NULL); CREATE SHARED TABLE app.ours (id INT PRIMARY KEY, v INT)',
  );
  await run(ROOT, 'CREATE STREAM TABLE app.events (id INT PRIMARY KEY) WITH (TTL_SECONDS=60)');
}

beforeEach(() => open());

const run = (principal: Principal, sql: string): Promise<readonly StatementResult[]> => database.session(principal).execute(sql);
/** Rows without `_seq` and `_deleted`, or messages. */
const texts = (results: readonly StatementResult[]): unknown[] =>
  results.map((result) => {
    if (result.kind === 'message') return result.message;
    const end = result.columns.at(-1)?.name === '_deleted' ? -2 : undefined;
    return result.rows.map((row) => row.slice(0, end));
  });
const rowsOf = async (principal: Principal, table: string): Promise<unknown> => texts(await run(principal, `SELECT * FROM ${table}`))[0];

/** What a request fails with; the number of its statement in front when it is one statement that failed. */
async function failure(running: Promise<unknown>): Promise<string> {
  const error = await running.then(
    () => new Error('nothing failed'),
    (reason: unknown) => reason,
  );
  if (error instanceof StatementError) return `${error.failure.statement}: ${error.failure.error.message}`;
  return (error as Error).message;
}

async function codeOf(running: Promise<unknown>): Promise<string | undefined> {
  const error = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof StatementError ? error.failure.error.code : (error as KalamError | undefined)?.code;
}

describe('blocks', () => {
  it('begin, commit and roll back with their ids, several in one request', async () => {
    const sql =
      "BEGIN; INSERT INTO app.mine VALUES (1, 'a'); COMMIT; START TRANSACTION; DELETE FROM app.mine WHERE true; ROLLBACK; BEGIN WORK; COMMIT WORK";
    const answers = texts(await run(ALICE, sql)).map(String);
    const [started, inserted, committed, startedAgain, deleted, rolledBack] = answers;
    expect(started).toMatch(new RegExp(`^Transaction started \\(${ID}\\)$`));
    expect(committed).toBe(started?.replace('started', 'committed'));
    expect(rolledBack).toBe(startedAgain?.replace('started', 'rolled back'));
    expect([inserted, deleted]).toEqual(['Inserted 1 row(s)', 'Deleted 1 row(s)']);
    expect(startedAgain).not.toBe(started);
    expect(await rowsOf(ALICE, 'app.mine')).toEqual([[1, 'a']]);
  });

  it('are one commit: live queries hear of all of it at COMMIT, and of nothing at ROLLBACK', async () => {
    const frames: LiveFrame[] = [];
    const connection = database.live.connect(ALICE, { connectionId: 'c', sink: { deliver: (frame) => frames.push(frame) } });
    await connection.subscribe({ id: 's', sql: 'SELECT * FROM app.mine', options: {} });
    const changes = (): unknown[] => frames.filter(({ kind }) => kind === 'change');
    const request = database.session(ALICE).open();
    await request.execute(
      "BEGIN; INSERT INTO app.mine VALUES (1, 'a'), (2, 'b'); UPDATE app.mine SET name = 'c' WHERE id = 1; SAVEPOINT s",
    );
    await request.execute("INSERT INTO app.mine VALUES (3, 'd'); DELETE FROM app.mine WHERE id = 3; DELETE FROM app.mine WHERE id = 2");
    expect(changes()).toEqual([]);
    const before = database.status().watermark;
    await request.execute('ROLLBACK TO s; COMMIT');
    expect(changes()).toHaveLength(2);
    await run(
      ALICE,
      "BEGIN; DELETE FROM app.mine WHERE true; ROLLBACK; BEGIN; INSERT INTO app.mine VALUES (9, 'x'); DELETE FROM app.mine WHERE id = 9; COMMIT",
    );
    expect(changes()).toHaveLength(2);
    expect(database.status().watermark).toBeGreaterThan(before);
  });

  it('give rows their order: _seq follows the statements, above everything before', async () => {
    await run(
      ALICE,
      "BEGIN; INSERT INTO app.mine VALUES (2, 'x'); INSERT INTO app.mine VALUES (1, 'y'); UPDATE app.mine SET name = 'z' WHERE id = 2; COMMIT",
    );
    const [result] = await run(ALICE, 'SELECT id FROM app.mine ORDER BY _seq');
    expect(texts(result === undefined ? [] : [result])).toEqual([[[1], [2]]]);
  });

  it('end with their request', async () => {
    const left = 'Request completed with an open explicit transaction; rolled back automatically';
    expect(await failure(run(ALICE, "BEGIN; INSERT INTO app.mine VALUES (1, 'a')"))).toBe(left);
    expect(await failure(run(ALICE, 'BEGIN'))).toBe(left);
    expect(await rowsOf(ALICE, 'app.mine')).toEqual([]);
    expect(await rowsOf(ROOT, 'system.transactions')).toEqual([]);
  });

  it('are refused where they do not fit', async () => {
    expect(await failure(run(ALICE, 'COMMIT'))).toBe('1: COMMIT requires an active explicit SQL transaction');
    expect(await failure(run(ALICE, 'BEGIN; COMMIT; ROLLBACK'))).toBe('3: ROLLBACK requires an active explicit SQL transaction');
    expect(await failure(run(ALICE, 'SAVEPOINT a'))).toBe('1: SAVEPOINT requires an active explicit SQL transaction');
    expect(await failure(run(ALICE, 'BEGIN; BEGIN'))).toMatch(new RegExp(`^2: .*already has an active transaction '${ID}'$`));
    expect(await failure(run(ALICE, "EXECUTE AS USER 'bob' (BEGIN)"))).toBe('EXECUTE AS USER cannot wrap a transaction statement');
  });
});

describe('a statement that fails', () => {
  const first = "INSERT INTO app.mine VALUES (1, 'a')";

  it.each([
    ["INSERT INTO app.mine VALUES (1, 'b')", "Already exists: Primary key violation: value '1' already exists in column 'id'"],
    ['INSERT INTO app.mine VALUES (2, NULL)', "Constraint violation: NOT NULL constraint violation: column 'name' cannot be NULL (row 1)"],
    [
      'UPDATE app.mine SET name = NULL WHERE true',
      "Constraint violation: NOT NULL constraint violation: column 'name' cannot be NULL (row 1)",
    ],
    ['SELECT * FROM app.missing', "Table not found: table 'app.missing' not found"],
    ['ROLLBACK TO nowhere', "Savepoint 'nowhere' does not exist"],
    ['RELEASE nowhere', "Savepoint 'nowhere' does not exist"],
    ['INSERT INTO app.events VALUES (1)', 'stream tables are not supported inside explicit transactions'],
    ["DELETE FROM system.users WHERE user_id = 'x'", 'system tables are not supported inside explicit transactions'],
  ])('%s: ends the request and the transaction', async (statement, message) => {
    expect(await failure(run(ROOT, `BEGIN; ${first}; ${statement}; COMMIT`))).toBe(`3: ${message}`);
    expect(await rowsOf(ROOT, 'app.mine')).toEqual([]);
    expect(await rowsOf(ROOT, 'system.transactions')).toEqual([]);
  });

  it.each([
    'CREATE NAMESPACE x',
    'CREATE TABLE app.x (id INT PRIMARY KEY)',
    'DROP TABLE app.mine',
    'CREATE USER x WITH INTERNAL ROLE user',
  ])('%s is DDL', async (statement) => {
    expect(await failure(run(ROOT, `BEGIN; ${first}; ${statement}; COMMIT`))).toMatch(
      new RegExp(`^3: DDL is not allowed inside explicit transaction '${ID}'$`),
    );
    expect(await rowsOf(ROOT, 'app.mine')).toEqual([]);
  });

  it('leaves an open request without a transaction', async () => {
    const request = database.session(ALICE).open();
    await request.execute(`BEGIN; ${first}`);
    await expect(request.execute('SELECT nothing')).rejects.toThrow();
    expect(await failure(request.execute('COMMIT'))).toContain('requires an active');
    await request.execute(`BEGIN; ${first}; COMMIT`);
    request.end();
    expect(await rowsOf(ALICE, 'app.mine')).toEqual([[1, 'a']]);
  });

  it('does not take back what was committed before its transaction', async () => {
    expect(await failure(run(ALICE, `${first}; BEGIN; DELETE FROM app.mine WHERE true; SELECT nothing; COMMIT`))).toMatch(/^4: /);
    expect(await rowsOf(ALICE, 'app.mine')).toEqual([[1, 'a']]);
  });
});

describe('what others do meanwhile', () => {
  it('reading and looking at streams, schemas and namespaces goes on inside', async () => {
    const sql =
      'BEGIN; SELECT * FROM app.events; SHOW TABLES IN app; DESCRIBE TABLE app.mine; USE app; SELECT COUNT(*) FROM mine; SHOW NAMESPACES; COMMIT';
    expect(await run(ROOT, sql)).toHaveLength(8);
  });

  it('a row that somebody else committed first is a conflict that may be tried again; a taken key is a duplicate', async () => {
    await run(ALICE, 'INSERT INTO app.ours VALUES (1, 0)');
    const request = database.session(ALICE).open();
    await request.execute('BEGIN; UPDATE app.ours SET v = v + 1 WHERE id = 1; INSERT INTO app.ours VALUES (2, 2)');
    await run(ROOT, 'UPDATE app.ours SET v = 10 WHERE id = 1');
    const error = await request.execute('COMMIT').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ failure: { error: { code: 'CONFLICT', spec: { retryable: true } } } });
    expect(await rowsOf(ALICE, 'app.ours')).toEqual([[1, 10]]);
    await request.execute('BEGIN; INSERT INTO app.ours VALUES (2, 2)');
    await run(ROOT, 'INSERT INTO app.ours VALUES (2, 20)');
    expect(await failure(request.execute('COMMIT'))).toBe(
      "1: Already exists: Primary key violation: value '2' already exists in column 'id'",
    );
  });

  it('a conflict with a commit that is still being written waits for it', async () => {
    await run(ALICE, 'INSERT INTO app.ours VALUES (1, 0)');
    const change = 'BEGIN; UPDATE app.ours SET v = v + 1 WHERE id = 1; COMMIT';
    const codes = await Promise.all(Array.from({ length: 10 }, () => codeOf(run(ALICE, change))));
    expect(codes.filter((code) => code === undefined)).toHaveLength(1);
    expect(codes.filter((code) => code === 'CONFLICT')).toHaveLength(9);
    expect(await rowsOf(ALICE, 'app.ours')).toEqual([[1, 1]]);
  });

  it('DDL on a table that was read or written is a conflict', async () => {
    for (const touch of ['SELECT * FROM app.ours', 'INSERT INTO app.ours VALUES (1, 1)']) {
      const request = database.session(ALICE).open();
      await request.execute(`BEGIN; INSERT INTO app.mine VALUES (1, 'a'); ${touch}`);
      await run(ROOT, 'DROP TABLE app.ours; CREATE SHARED TABLE app.ours (id INT PRIMARY KEY, v INT)');
      expect(await codeOf(request.execute('COMMIT'))).toBe('CONFLICT');
    }
    expect(await rowsOf(ALICE, 'app.mine')).toEqual([]);
  });

  it('COMMIT waits for DDL that is under way', async () => {
    const request = database.session(ALICE).open();
    await request.execute('BEGIN; INSERT INTO app.ours VALUES (1, 1)');
    const dropping = run(ROOT, 'DROP TABLE app.ours');
    expect(await codeOf(request.execute('COMMIT'))).toBe('CONFLICT');
    await dropping;
    await request.execute("BEGIN; INSERT INTO app.mine VALUES (1, 'a')");
    const refused = codeOf(run(ROOT, 'DROP NAMESPACE app'));
    await request.execute('COMMIT');
    expect(await refused).toBe('NAMESPACE_NOT_EMPTY');
  });

  it('rows of other users are written under their grant, in the same commit', async () => {
    await run(BOB, "INSERT INTO app.mine VALUES (7, 'bob')");
    const sql =
      "BEGIN; INSERT INTO app.mine VALUES (1, 'a'); EXECUTE AS USER 'bob' (INSERT INTO app.mine VALUES (1, 'b')); EXECUTE AS USER 'bob' (SELECT * FROM app.mine); SELECT * FROM app.mine; COMMIT";
    const results = await run(ALICE, sql);
    expect(results.slice(1, 5).map(({ asUser }) => asUser)).toEqual(['alice', 'bob', 'bob', 'alice']);
    expect(texts(results).slice(3, 5)).toEqual([
      [
        [1, 'b'],
        [7, 'bob'],
      ],
      [[1, 'a']],
    ]);
    expect(await rowsOf(BOB, 'app.mine')).toHaveLength(2);
    expect(await failure(run(ALICE, "BEGIN; EXECUTE AS USER 'root' (SELECT * FROM app.mine); COMMIT"))).toContain('is not authorized');
    expect(await failure(run(ALICE, "BEGIN; EXECUTE AS USER 'bob' (INSERT INTO app.ours VALUES (1, 1)); COMMIT"))).toContain(
      'SHARED tables',
    );
  });
});

describe('bounds', () => {
  it('buffered writes, also those that only a savepoint keeps', async () => {
    await open({ transactionLimits: { bufferBytesMax: 10_000 } });
    const text = 'x'.repeat(3000);
    const update = `UPDATE app.mine SET name = '${text}' || name WHERE id = 1`;
    await run(
      ALICE,
      `BEGIN; INSERT INTO app.mine VALUES (1, ''); ${update}; UPDATE app.mine SET name = '' WHERE id = 1; ${update}; ${update}; COMMIT`,
    );
    const kept = Array.from({ length: 4 }, (_, index) => `SAVEPOINT s; UPDATE app.mine SET name = '${index}${text}' WHERE id = 1`).join(
      '; ',
    );
    expect(await failure(run(ALICE, `BEGIN; ${kept}; COMMIT`))).toMatch(
      new RegExp(`^\\d: Transaction '${ID}' exceeded buffer limit of 10000 bytes and was aborted$`),
    );
    await run(ALICE, `BEGIN; ${kept.replaceAll('SAVEPOINT s; ', '')}; COMMIT`);
    await run(ALICE, `BEGIN; ${kept.replaceAll('SAVEPOINT s; ', 'SAVEPOINT s; RELEASE s; ')}; COMMIT`);
  });

  it('time between statements', async () => {
    const request = database.session(ALICE).open();
    await request.execute("BEGIN; INSERT INTO app.mine VALUES (1, 'a')");
    time.advance(299_000);
    await request.execute('SELECT * FROM app.mine');
    time.advance(299_000);
    await request.execute('SELECT * FROM app.mine');
    time.advance(300_000);
    expect(await rowsOf(ROOT, 'system.transactions')).toEqual([]);
    expect(await failure(request.execute('SELECT * FROM app.mine'))).toMatch(/timed out after 300 s and was aborted$/);
    expect(await rowsOf(ALICE, 'app.mine')).toEqual([]);
  });

  it('savepoints', async () => {
    const many = Array.from({ length: 1001 }, () => 'SAVEPOINT s').join('; ');
    expect(await failure(run(ALICE, `BEGIN; ${many}; COMMIT`))).toContain('at most 1000 savepoints');
  });

  it('the age of the view: a transaction that has become too old ends with SNAPSHOT_TOO_OLD', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'kalamdb-'));
    cleanups.push(() => rm(directory, { recursive: true, force: true }));
    await open({ directory });
    await run(ALICE, "INSERT INTO app.mine VALUES (1, 'a')");
    const request = database.session(ALICE).open();
    await request.execute("BEGIN; INSERT INTO app.mine VALUES (2, 'b')");
    await run(ALICE, "INSERT INTO app.mine VALUES (3, 'c')");
    time.advance(200);
    while (database.status().appliedSeq < database.status().watermark) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    time.advance(31_000);
    expect(await codeOf(request.execute('SELECT * FROM app.mine'))).toBe('SNAPSHOT_TOO_OLD');
    expect(await rowsOf(ALICE, 'app.mine')).toHaveLength(2);
  });

  it('the end of the database', async () => {
    const request = database.session(ALICE).open();
    await request.execute("BEGIN; INSERT INTO app.mine VALUES (1, 'a')");
    void database.close();
    expect(await codeOf(request.execute('COMMIT'))).toBe('SHUTTING_DOWN');
  });
});

it('system.transactions shows what is open', async () => {
  const request = database.session(ALICE, { requestId: 'r1' }).open();
  const look = async (): Promise<unknown> => texts(await run(ROOT, 'SELECT * FROM system.transactions'))[0];
  await request.execute('BEGIN');
  time.advance(5);
  expect(await look()).toEqual([
    [expect.stringMatching(ID), 'sql-req-r1', 'SqlBatch', 'open_read', 5n, 5n, 0n, 0n, 0n, expect.any(BigInt)],
  ]);
  await request.execute("INSERT INTO app.mine VALUES (1, 'a'), (2, 'b'); SELECT * FROM app.ours");
  time.advance(3);
  const row = [expect.any(String), 'sql-req-r1', 'SqlBatch', 'open_write', 8n, 3n, 2n, expect.any(BigInt), 2n, expect.any(BigInt)];
  expect(await look()).toEqual([row]);
  await request.execute('ROLLBACK');
  expect(await look()).toEqual([]);
});
