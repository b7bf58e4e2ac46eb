import { kalamError, systemTimers } from '@kalamdb/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isStream, STREAMS_MAX } from './query-runner.ts';
import { failureOf, hastyClock, ScanWorld } from './scan-world.fixture.ts';

const ROWS = 3000;
const COUNT = 'SELECT COUNT(*) FROM t';
/** Some seconds of work. */
const SLOW = "SELECT COUNT(*) FROM t WHERE REPEAT(CAST(id AS TEXT) || 'ab', 40000) LIKE '%zz%'";
const moduleOf = (source: string): URL => new URL(`data:text/javascript,${encodeURIComponent(source)}`);
const DIES = moduleOf("import { parentPort } from 'node:worker_threads'; parentPort.once('message', () => { throw new Error('gone'); });");
const SILENT = moduleOf(
  "import { parentPort } from 'node:worker_threads'; parentPort.on('message', (call) => call.kind === 'close' && parentPort.close());",
);

let world: ScanWorld;
beforeAll(async () => {
  world = await ScanWorld.open();
  await world.put(Array.from({ length: ROWS }, (_, id) => ({ cells: [BigInt(id), id % 10, `kind ${id % 3}`, null, null] })));
  await world.sequencer.flush();
});
afterAll(() => world.close());

const nextTurn = (): Promise<void> => new Promise((resolve) => systemTimers.after(0, resolve));
const threadedRunner = (options: Partial<Parameters<ScanWorld['runner']>[0]> = {}) =>
  world.runner({ threaded: true, clock: hastyClock(), timeoutMillis: 1e9, mainThreadRowsMax: 50, ...options });

describe('short reads', () => {
  test.each([
    'SELECT * FROM t WHERE id = 7',
    'SELECT id FROM t WHERE id IN (1, 2, 3)',
    'SELECT id FROM t WHERE id < 0',
    'SELECT id FROM t LIMIT 0',
  ])('%s is answered at once', (sql) => {
    expect(world.select(world.runner({ threaded: true }), sql)).toBeInstanceOf(Array);
  });

  test('a slice that was used up makes the next read wait for its turn', async () => {
    const runner = world.runner({ threaded: false, clock: hastyClock(), timeoutMillis: 1e9 });
    const first = world.select(runner, COUNT);
    const second = world.select(runner, 'SELECT id FROM t WHERE id < 3');
    expect(first).toBeInstanceOf(Promise);
    expect(second).toBeInstanceOf(Promise);
    expect(await second).toHaveLength(3);
    expect(await first).toEqual([[BigInt(ROWS)]]);
  });
});

test('a read that has to wait for its turn asks again whether its table is what it was planned for', async () => {
  const runner = world.runner({ threaded: false, clock: hastyClock(), timeoutMillis: 1e9 });
  const first = world.select(runner, COUNT);
  let isCurrent = true;
  const assertCurrent = (): void => {
    if (!isCurrent) throw kalamError('CONFLICT', { reason: 'the table has changed' });
  };
  const second = Promise.resolve(world.select(runner, 'SELECT id FROM t WHERE id < 3', { assertCurrent })).catch(failureOf);
  isCurrent = false;
  expect(await second).toMatchObject({ code: 'CONFLICT' });
  expect(await first).toEqual([[BigInt(ROWS)]]);
});

describe('the limits of a statement', () => {
  test('a scan in slices ends when its time is up and lets go of its snapshot', async () => {
    const runner = world.runner({ threaded: false, clock: hastyClock(), timeoutMillis: 20 });
    const before = world.sequencer.snapshots.oldestAppliedSeq();
    expect(await world.outcome(runner, COUNT)).toMatchObject({ code: 'STATEMENT_TIMEOUT', message: expect.stringContaining('0.02s') });
    await world.put([{ cells: [0n, 5, 'new', null, null] }]);
    await world.sequencer.flush();
    expect(world.sequencer.snapshots.oldestAppliedSeq()).toBeGreaterThan(before);
    expect(world.hot.liveTransactions).toBeLessThanOrEqual(1);
  });

  test('a query in the thread is stopped when its time is up, and the thread goes on with the next', async () => {
    const runner = world.runner({ threaded: true, timeoutMillis: 300, mainThreadRowsMax: 1 });
    const slow = world.outcome(runner, SLOW);
    const next = world.outcome(world.runner({ threaded: true, clock: hastyClock(), timeoutMillis: 1e9, mainThreadRowsMax: 1 }), COUNT);
    expect(await slow).toMatchObject({ code: 'STATEMENT_TIMEOUT' });
    expect(await next).toEqual({ rows: [[BigInt(ROWS)]] });
    // It was not ended: the same thread answers in less time than another one takes to start and be found silent.
    const again = world.runner({ threaded: true, mainThreadRowsMax: 1 });
    expect(await world.outcome(again, COUNT)).toEqual({ rows: [[BigInt(ROWS)]] });
  });

  test('an aborted statement ends with the reason, in slices and in the thread', async () => {
    const reason = kalamError('QUERY_INTERRUPTED');
    for (const runner of [world.runner({ threaded: false, clock: hastyClock(), timeoutMillis: 1e9 }), threadedRunner()]) {
      const abort = new AbortController();
      const outcome = Promise.resolve(world.select(runner, SLOW, { signal: abort.signal })).catch(failureOf);
      await nextTurn();
      abort.abort(reason);
      expect(await outcome).toMatchObject({ code: 'QUERY_INTERRUPTED' });
    }
  });
});

test('closing ends what runs in slices', async () => {
  const runner = world.runner({ threaded: false, clock: hastyClock(), timeoutMillis: 1e9 });
  const outcomes = [world.outcome(runner, COUNT), world.outcome(runner, COUNT)];
  await runner.close();
  for (const outcome of outcomes) expect(await outcome).toMatchObject({ code: 'SHUTTING_DOWN' });
});

describe('the scan thread', () => {
  test('a query whose table has changed meanwhile fails with what says so, and the next one is answered', async () => {
    const runner = threadedRunner();
    const changed = kalamError('CONFLICT', { reason: 'the table has changed' });
    let asked = 0;
    // First on the main thread, where it turns out to be long, and once more when the thread has opened its view.
    const assertCurrent = (): void => {
      if (++asked === 2) throw changed;
    };
    const outcome = Promise.resolve(world.select(runner, COUNT, { assertCurrent })).catch(failureOf);
    expect(await outcome).toMatchObject({ code: 'CONFLICT' });
    expect(await world.outcome(runner, COUNT)).toEqual({ rows: [[BigInt(ROWS)]] });
  });

  test('a thread that dies fails its query with a retryable error; after three deaths queries run here', async () => {
    const runner = threadedRunner({ scanModule: DIES });
    for (let attempt = 0; attempt < 3; attempt++) expect(await world.outcome(runner, COUNT)).toMatchObject({ code: 'QUERY_INTERRUPTED' });
    expect(kalamError('QUERY_INTERRUPTED').spec.retryable).toBe(true);
    expect(await world.outcome(runner, COUNT)).toEqual({ rows: [[BigInt(ROWS)]] });
  });

  test('lets go of the hot tier when it is asked to, and opens it again for the next query', async () => {
    const runner = threadedRunner({ mainThreadRowsMax: 1 });
    const running = world.outcome(runner, SLOW);
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    await runner.letGo();
    expect(await running).toMatchObject({ code: 'QUERY_INTERRUPTED' });
    expect(await world.outcome(runner, COUNT)).toEqual({ rows: [[BigInt(ROWS)]] });
  });

  test('a thread that does not react is ended, and its overlay is let go', async () => {
    const runner = world.runner({ threaded: true, timeoutMillis: 100, mainThreadRowsMax: 1, scanModule: SILENT });
    expect(await world.outcome(runner, SLOW)).toMatchObject({ code: 'STATEMENT_TIMEOUT' });
    await world.put([{ cells: [0n, 6, 'new', null, null] }]);
    await world.sequencer.flush();
    expect(world.hot.liveTransactions).toBeLessThanOrEqual(1);
    await runner.close();
  });

  test('closing fails what runs and what waits, and ends the thread', async () => {
    const runner = threadedRunner();
    const outcomes = [SLOW, SLOW, COUNT].map((sql) => world.outcome(runner, sql));
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    await runner.close();
    for (const outcome of outcomes) expect(await outcome).toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(await world.outcome(runner, 'SELECT id FROM t WHERE id = 1')).toEqual({ rows: [[1n]] });
  });

  test('the queue has a bound', async () => {
    const runner = threadedRunner({ scanModule: SILENT });
    const outcomes = Array.from({ length: 300 }, () => world.outcome(runner, COUNT));
    const busy = await Promise.race([...outcomes, nextTurn().then(() => outcomes[299])]);
    expect(busy).toMatchObject({ code: 'QUERIES_BUSY' });
    await runner.close();
    expect(await outcomes[0]).toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});

describe('answers that are streams', () => {
  const LONG = 'SELECT id, REPEAT(kind, 20) FROM t';

  test('come in many batches, in order, and leave nothing open', async () => {
    const runner = threadedRunner();
    const { outcome, batches } = await world.streamOutcome(runner, LONG);
    expect(outcome).toEqual(await world.outcome(runner, LONG));
    expect(batches).toBeGreaterThan(3);
    expect(runner.streams).toBe(0);
    expect(world.hot.liveTransactions).toBeLessThanOrEqual(1);
  });

  test('of few rows are one batch, and what draws random numbers is no stream', async () => {
    const runner = threadedRunner();
    expect(await world.streamOutcome(runner, COUNT)).toEqual({ outcome: { rows: [[BigInt(ROWS)]] }, batches: 1 });
    expect(await world.streamOutcome(runner, 'SELECT id, RANDOM() FROM t')).toMatchObject({ batches: 0 });
    expect(await world.streamOutcome(runner, 'SELECT id FROM t WHERE RANDOM() < 2')).toMatchObject({ batches: 0 });
  });

  test('fail where the statement fails, after the batches before', async () => {
    const { outcome, batches } = await world.streamOutcome(threadedRunner(), `SELECT REPEAT(kind, 20), 10 / (id - ${ROWS - 5}) FROM t`);
    expect(outcome).toMatchObject({ code: 'DIVISION_BY_ZERO' });
    expect(batches).toBeGreaterThan(0);
  });

  test('that nobody reads do not hold up the thread, nor an old view of the data', async () => {
    const runner = threadedRunner();
    const unread = await Promise.all(Array.from({ length: 4 }, () => world.stream(runner, 'SELECT id, REPEAT(kind, 400) FROM t')));
    expect(await world.outcome(runner, COUNT)).toEqual({ rows: [[BigInt(ROWS)]] });
    expect([runner.streams, world.hot.liveTransactions <= 1]).toEqual([4, true]);
    for (const found of unread) if (isStream(found)) await found.close();
    expect(runner.streams).toBe(0);
  });

  test('that are closed stop their query, and so does a signal', async () => {
    const slow = "SELECT id, kind FROM t WHERE REPEAT(CAST(id AS TEXT) || 'ab', 40000) NOT LIKE '%zz%'";
    const runner = threadedRunner();
    const closed = await world.stream(runner, slow);
    if (!isStream(closed)) throw new Error('no stream');
    const pending = closed.next().catch(failureOf);
    await closed.close();
    expect(await pending).toMatchObject({ code: 'QUERY_INTERRUPTED' });
    await closed.close();
    const gone = new AbortController();
    const aborted = await world.stream(runner, slow, { signal: gone.signal });
    if (!isStream(aborted)) throw new Error('no stream');
    gone.abort(kalamError('CLIENT_GONE'));
    await expect(aborted.next()).rejects.toMatchObject({ code: 'CLIENT_GONE' });
    await aborted.close();
    expect(await world.outcome(runner, COUNT)).toEqual({ rows: [[BigInt(ROWS)]] });
  });

  test('end with the thread and with the runner, and never as if they were whole', async () => {
    const dying = threadedRunner({ scanModule: DIES });
    expect((await world.streamOutcome(dying, LONG)).outcome).toMatchObject({ code: 'QUERY_INTERRUPTED' });
    const runner = threadedRunner();
    const found = await world.stream(runner, LONG);
    if (!isStream(found)) throw new Error('no stream');
    await found.next();
    // The query has ended, and most of its rows wait.
    await world.outcome(runner, COUNT);
    await runner.close();
    await expect(found.next()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });

  test('have a bound', async () => {
    const runner = threadedRunner();
    const found = [];
    for (let i = 0; i < STREAMS_MAX; i++) found.push(await world.stream(runner, COUNT));
    await expect(world.stream(runner, COUNT)).rejects.toMatchObject({ code: 'QUERIES_BUSY' });
    await runner.close();
    expect(found.every(isStream)).toBe(true);
  });
});
