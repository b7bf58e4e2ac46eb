import { kalamError } from '@kalamdb/protocol';
import { openMemoryLog, openMemoryStore } from '@kalamdb/storage';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { HeldLog } from '../sequencer/held-log.fixture.ts';
import type { OpenRequest } from '../session/open-request.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { databaseOn } from './open-database.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };
const ALICE: Principal = { userId: 'alice', role: 'service' };
const BOARD = 'SELECT id, v FROM app.board ORDER BY id';

/** Everything that reads, answered at once and without what is held back. */
const READS: readonly string[] = [
  BOARD,
  'SELECT id, v FROM app.board',
  'SELECT COUNT(*) FROM app.board',
  'SELECT SUM(v), MAX(_seq) FROM app.board',
  "SELECT v FROM app.board WHERE id = 'a'",
  "SELECT v FROM app.board WHERE id = 'd'",
  "SELECT v FROM app.board WHERE id IN ('b', 'd', 'x')",
  'SELECT id FROM app.board WHERE v > 1 ORDER BY v DESC LIMIT 3',
  'SELECT id FROM app.board WHERE _deleted = true',
  'SELECT id, v FROM app.notes ORDER BY id',
  'SELECT COUNT(*) FROM app.notes',
  'SELECT id, v FROM app.events ORDER BY id',
  `BEGIN; ${BOARD}; SELECT COUNT(*) FROM app.notes; COMMIT`,
  'SELECT namespace_id FROM system.namespaces ORDER BY namespace_id',
  "SELECT table_name FROM system.tables WHERE namespace_id = 'app' ORDER BY table_name",
  "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'app' ORDER BY table_name, column_name",
  'SHOW TABLES IN app',
  'SHOW NAMESPACES',
  'SELECT user_id FROM system.users ORDER BY user_id',
  'SELECT * FROM app.made',
];

/** Statements whose groups are held back. */
const HELD: readonly string[] = [
  "INSERT INTO app.board (id, v) VALUES ('d', 4), ('e', 5)",
  "UPDATE app.board SET v = v + 100 WHERE id >= ''",
  "DELETE FROM app.board WHERE id >= 'b'",
  'INSERT INTO app.board (id, v) SELECT id || id, v FROM app.board',
  "BEGIN; INSERT INTO app.board (id, v) VALUES ('d', 4); UPDATE app.notes SET v = 7 WHERE id = 'n'; DELETE FROM app.board WHERE id = 'a'; COMMIT",
  'CREATE NAMESPACE more',
  'CREATE SHARED TABLE app.made (id TEXT PRIMARY KEY, v INT)',
  'DROP TABLE app.notes',
  "CREATE USER 'carol' WITH PASSWORD 'carol-password-1' ROLE user",
];

/** What comes while it is held back: nothing of it is answered before, and each either rests on it or comes after it. */
const DEPENDENTS: readonly string[] = [
  "INSERT INTO app.board (id, v) VALUES ('d', 40)",
  "UPDATE app.board SET v = v * 2 WHERE id = 'a'",
  "UPDATE app.board SET v = 0 WHERE id = 'no such row'",
  "DELETE FROM app.board WHERE id = 'd'",
  "BEGIN; UPDATE app.board SET v = 9 WHERE id = 'c'; COMMIT",
  "INSERT INTO app.events (id, v) VALUES ('e2', 2)",
  "INSERT INTO app.board (id, v) SELECT 'x', COUNT(*) FROM app.board",
  'CREATE SHARED TABLE app.other (id TEXT PRIMARY KEY)',
];

interface Outcome {
  readonly sql: string;
  /** Codes of the errors; rows and messages otherwise. */
  readonly answer: unknown;
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const TRANSACTION_ID = / \([0-9a-f-]{36}\)$/;

let time: VirtualTime;
let log: HeldLog;
let database: Database;
let follower: SimulatedClient;
/** A transaction that began before the group was held back, with a write of its own. */
let open: OpenRequest;
let connections = 0;

beforeEach(async () => {
  time = new VirtualTime();
  const random = new SeededRandom(1);
  log = new HeldLog(openMemoryLog({ random, startSeq: 0n }));
  const hot = openMemoryStore();
  const close = async (): Promise<void> => {
    await hot.close();
    await log.close();
  };
  const storage = { log, hot, directory: undefined, onReopen: () => undefined, close };
  database = await databaseOn(storage, {
    directory: undefined,
    durability: 'sync',
    passwordCost: { memoryKib: 8, iterations: 1 },
    clock: time,
    timers: time,
    random,
    onWarning: () => undefined,
  });
  const columns = '(id TEXT PRIMARY KEY, v INT)';
  for (const sql of [
    'CREATE NAMESPACE app',
    `CREATE SHARED TABLE app.board ${columns}`,
    `CREATE USER TABLE app.notes ${columns}`,
    `CREATE STREAM TABLE app.events ${columns} WITH (TTL_SECONDS=1000)`,
    "INSERT INTO app.board (id, v) VALUES ('a', 1), ('b', 2), ('c', 3), ('gone', 4)",
    "DELETE FROM app.board WHERE id = 'gone'",
    "INSERT INTO app.notes (id, v) VALUES ('n', 1)",
    "INSERT INTO app.events (id, v) VALUES ('e1', 1)",
  ]) {
    await pumped(database.session(callerOf(sql)).execute(sql));
  }
  follower = new SimulatedClient();
  await subscribe(follower, 'f');
  open = database.session(ALICE).open();
  await pumped(open.execute(`BEGIN; ${BOARD}; UPDATE app.board SET v = 30 WHERE id = 'c'`));
});

afterEach(async () => {
  log.releaseAppends();
  await pumped(database.close());
});

const callerOf = (sql: string): Principal => (/^(CREATE|DROP|SHOW)|_schema\.| system\./.test(sql) ? ROOT : ALICE);

async function subscribe(client: SimulatedClient, connectionId: string): Promise<void> {
  const connection = database.live.connect(ALICE, { connectionId, sink: client });
  await pumped(connection.subscribe({ id: connectionId, sql: 'SELECT * FROM app.board', options: {} }));
  await pumped(settle());
}

async function pumped<T>(work: Promise<T>): Promise<T> {
  let done = false;
  const finished = work.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  while (!done) {
    await settle();
    if (!done) time.advance(1);
  }
  return finished;
}

async function run(sql: string): Promise<Outcome> {
  try {
    const results = await database.session(callerOf(sql)).execute(sql);
    return { sql, answer: results.map((result) => (result.kind === 'rows' ? result.rows : result.message.replace(TRANSACTION_ID, ''))) };
  } catch (error) {
    if (error instanceof StatementError) return { sql, answer: error.failure.error.code };
    throw error;
  }
}

/** What everybody sees now, the open transaction and the follower included. */
async function seen(): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const sql of READS) outcomes.push(await pumped(run(sql)));
  const inside = await pumped(open.execute(`${BOARD}; SELECT COUNT(*) FROM app.board`));
  outcomes.push({ sql: 'inside', answer: inside.map((result) => result.kind === 'rows' && result.rows) });
  outcomes.push({ sql: 'accounts', answer: database.accounts.find('carol')?.userId });
  outcomes.push({ sql: 'live', answer: liveRows(follower) });
  const late = new SimulatedClient();
  await subscribe(late, `late ${++connections}`);
  outcomes.push({ sql: 'live from now', answer: liveRows(late) });
  return outcomes;
}

const liveRows = (client: SimulatedClient): unknown => {
  expect(client.problems).toEqual([]);
  return [...client.rows.values()].map((row) => [row['id'], row['v']]).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
};

/** Holds back the group of `sql`, lets `others` come, sees that nobody is shown or told anything, and lets it go. */
async function held(sql: string, others: readonly string[], error: Error | undefined): Promise<readonly Outcome[]> {
  const before = await seen();
  log.hold();
  if (error !== undefined) log.failNext(error);
  const answered: string[] = [];
  const start = (text: string): Promise<Outcome> => {
    const outcome = run(text);
    void outcome.then(() => answered.push(text));
    return outcome;
  };
  const running = [start(sql)];
  await settle();
  for (const other of others) {
    running.push(start(other));
    await settle();
  }
  expect(await seen()).toEqual(before);
  expect(answered).toEqual([]);
  log.releaseAppends();
  const outcomes = await pumped(Promise.all(running));
  if (error !== undefined) expect(outcomes[0]?.answer).toBe('LOG_WRITE_FAILED');
  return outcomes;
}

const noSpace = (): Error => kalamError('LOG_WRITE_FAILED', { reason: 'no space left' });

describe('a group that is held back and then fails', () => {
  it.each(HELD)('had shown nothing: %s', async (sql) => {
    const before = await seen();
    await held(sql, [], noSpace());
    expect(await seen()).toEqual(before);
    // Nothing of it is in the way of trying again.
    expect((await pumped(run(sql))).answer).not.toBeTypeOf('string');
  });

  it.each(HELD.filter((sql) => !/^(CREATE|DROP)/.test(sql)))('takes with it what came after: %s', async (sql) => {
    const before = await seen();
    const outcomes = await held(sql, DEPENDENTS, noSpace());
    expect(outcomes.map(({ answer }) => answer)).toEqual(outcomes.map(() => 'LOG_WRITE_FAILED'));
    expect(kalamError('LOG_WRITE_FAILED', { reason: '' }).spec.retryable).toBe(true);
    expect(await seen()).toEqual(before);
  });

  it('does not keep an open transaction from its COMMIT, whose conflict it would have been', async () => {
    await held("UPDATE app.board SET v = 31 WHERE id = 'c'", [], noSpace());
    await pumped(open.execute('COMMIT'));
    expect((await pumped(run(BOARD))).answer).toEqual([
      [
        ['a', 1],
        ['b', 2],
        ['c', 30],
      ],
    ]);
    expect(liveRows(follower)).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 30],
    ]);
  });

  it('lets those go on that only waited for its table', async () => {
    log.hold();
    log.failNext(noSpace());
    const running = [run('DROP TABLE app.notes')];
    await settle();
    running.push(run("INSERT INTO app.notes (id, v) VALUES ('m', 2)"));
    await settle();
    log.releaseAppends();
    const outcomes = await pumped(Promise.all(running));
    expect(outcomes.map(({ answer }) => answer)).toEqual(['LOG_WRITE_FAILED', ['Inserted 1 row(s)']]);
    expect((await pumped(run('SELECT id FROM app.notes ORDER BY id'))).answer).toEqual([[['m'], ['n']]]);
  });

  it('fails the COMMIT that lost to it', async () => {
    log.hold();
    log.failNext(noSpace());
    const writing = run("UPDATE app.board SET v = 31 WHERE id = 'c'");
    await settle();
    const commit = open.execute('COMMIT').catch((error: StatementError) => error.failure.error.code);
    await settle();
    log.releaseAppends();
    expect([(await pumped(writing)).answer, await pumped(commit)]).toEqual(['LOG_WRITE_FAILED', 'LOG_WRITE_FAILED']);
    open = database.session(ALICE).open();
  });
});

describe('a group that is held back and then succeeds', () => {
  it.each(HELD)('is shown from then on: %s', async (sql) => {
    const before = await seen();
    const [outcome] = await held(sql, [], undefined);
    expect(outcome?.answer).not.toBeTypeOf('string');
    const after = await seen();
    expect(after).not.toEqual(before);
    const rowsOf = (outcomes: readonly Outcome[], what: string): unknown => outcomes.find((found) => found.sql === what)?.answer;
    expect([rowsOf(after, 'live')]).toEqual(rowsOf(after, BOARD));
    expect(rowsOf(after, 'live from now')).toEqual(rowsOf(after, 'live'));
    // The transaction that began before goes on with what it saw.
    expect(rowsOf(after, 'inside')).toEqual(rowsOf(before, 'inside'));
  });

  it('is what those that came after it build on', async () => {
    const outcomes = await held(HELD[0] ?? '', DEPENDENTS, undefined);
    expect(outcomes.map(({ answer }) => answer)).toEqual([
      ['Inserted 2 row(s)'],
      'DUPLICATE_KEY',
      ['Updated 1 row(s)'],
      ['Updated 0 row(s)'],
      ['Deleted 1 row(s)'],
      ['Transaction started', 'Updated 1 row(s)', 'Transaction committed'],
      ['Inserted 1 row(s)'],
      ['Inserted 1 row(s)'],
      [expect.stringContaining('app.other created')],
    ]);
    expect((await pumped(run(BOARD))).answer).toEqual([
      [
        ['a', 2],
        ['b', 2],
        ['c', 9],
        ['e', 5],
        ['x', 3],
      ],
    ]);
    await expect(pumped(open.execute('COMMIT'))).rejects.toMatchObject({ failure: { error: { code: 'CONFLICT' } } });
    open = database.session(ALICE).open();
  });
});
