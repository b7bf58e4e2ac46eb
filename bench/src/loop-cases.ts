import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, type LiveConnection, type Session, StatementError } from '@kalamdb/engine';
import { insertPatiently as patiently } from './insert-patiently.ts';

/** Rows of the tables that the cases change as a whole. */
export const CASE_ROWS = 100_000;
/** Rows of one INSERT … VALUES: as many as the bound on the length of a text allows. */
const TEXT_ROWS = 60_000;
/** Length of a cell of which eight nearly fill a commit. */
const LONG_CELL_UNITS = 3_920_000;
/** Milliseconds without a batch after which the applier has nothing left. */
const SETTLE_MILLIS = 400;
const ROOT = { userId: 'root', role: 'system' } as const;

/** Work that must leave the event loop free. */
export interface LoopCase {
  readonly name: string;
  /** What has to be there, made outside of the measurement before each round. */
  prepare?(session: Session, round: number): Promise<unknown>;
  run(session: Session, round: number, database: Database): Promise<unknown>;
}

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
const values = (first: number, count: number): string => times(count, (index) => `(${first + index},${index % 100},'x')`).join(',');
const shortValues = (first: number, count: number): string => times(count, (index) => `(${first + index},1)`).join(',');

async function createTables(session: Session): Promise<void> {
  await session.execute('CREATE NAMESPACE c');
  const columns = 'id BIGINT PRIMARY KEY, n INT, body TEXT';
  for (const name of ['src', 'copy', 'many', 'followed', 'shared'])
    await session.execute(`CREATE TABLE c.${name} (${columns}) WITH (TYPE='SHARED')`);
  await session.execute(`CREATE TABLE c.wide (${columns}) WITH (TYPE='SHARED')`);
  await session.execute("CREATE TABLE c.narrow (id BIGINT PRIMARY KEY, n INT) WITH (TYPE='SHARED')");
  await session.execute("CREATE TABLE c.events (id BIGINT PRIMARY KEY, n INT, body TEXT) WITH (TYPE='STREAM', TTL_SECONDS=2)");
}

/** Makes and fills the tables of the cases. */
export async function fillCases(session: Session): Promise<void> {
  await createTables(session);
  for (let first = 0; first < CASE_ROWS; first += 1000) await patiently(session, `INSERT INTO c.src VALUES ${values(first, 1000)}`);
  for (const name of ['many', 'followed']) await patiently(session, `INSERT INTO c.${name} SELECT id, n, body FROM c.src`);
  const body = 'w'.repeat(250);
  for (let first = 0; first < CASE_ROWS; first += 1000) {
    const rows = times(1000, (index) => `(${first + index},0,'${body}')`).join(',');
    await patiently(session, `INSERT INTO c.wide VALUES ${rows}`);
  }
}

async function emptyCopy(session: Session): Promise<void> {
  await patiently(session, 'DELETE FROM c.copy WHERE id >= 0');
}

/** Follows a table with some subscribers; resolves with what waits until each has had so many changes, and leaves. */
async function follow(database: Database, sql: string, subscribers: number): Promise<(changes: number) => Promise<void>> {
  let delivered = 0;
  const connections: LiveConnection[] = [];
  for (let index = 0; index < subscribers; index++) {
    const deliver = (frame: { readonly kind: string }): void => {
      if (frame.kind === 'change') delivered += 1;
    };
    const connection = database.live.connect(ROOT, { connectionId: `c-${nextConnection++}`, sink: { deliver } });
    connections.push(connection);
    await connection.subscribe({ id: 's', sql, options: undefined });
  }
  return async (changes) => {
    while (delivered < changes * subscribers) await sleep(2);
    for (const connection of connections) connection.close();
  };
}

let nextConnection = 0;

async function transaction(session: Session, texts: readonly string[]): Promise<void> {
  const request = session.open();
  await request.execute('BEGIN');
  for (const text of texts) await request.execute(text);
  await request.executeLast('COMMIT', []);
}

// Made before anything is measured.
const thousands = times(100, (index) => `INSERT INTO c.copy VALUES ${values(index * 1000, 1000)}`);
const thousandsAndLooks = thousands.flatMap((text, index) => (index % 10 === 9 ? [text, 'SELECT COUNT(*) FROM c.copy'] : [text]));
const longInsert = `INSERT INTO c.narrow VALUES ${shortValues(0, TEXT_ROWS)}`;
const longBatch = `BEGIN;${times(20_000, (index) => `INSERT INTO c.narrow VALUES (${index},1)`).join(';')};COMMIT`;
const sums = `INSERT INTO c.narrow VALUES ${times(2000, (index) => `(${index} + 1, 1)`).join(',')}`;
const manyKeys = `SELECT COUNT(*) FROM c.src WHERE id IN (${times(10_000, (index) => index * 3).join(',')})`;

const commits: readonly LoopCase[] = [
  { name: 'UPDATE of 100,000 rows', run: (session) => patiently(session, 'UPDATE c.many SET n = n + 1 WHERE id >= 0') },
  {
    name: 'INSERT … SELECT of 100,000 rows',
    prepare: emptyCopy,
    run: (session) => patiently(session, 'INSERT INTO c.copy SELECT id, n, body FROM c.src'),
  },
  {
    name: 'DELETE of 100,000 rows',
    prepare: async (session) => {
      await emptyCopy(session);
      await patiently(session, 'INSERT INTO c.copy SELECT id, n, body FROM c.src');
    },
    run: emptyCopy,
  },
  { name: 'UPDATE of 28 MiB in 100,000 rows', run: (session) => patiently(session, 'UPDATE c.wide SET n = n + 1 WHERE id >= 0') },
  {
    name: 'UPDATE of 30 MiB in 8 rows',
    prepare: async (session, round) => {
      if (round > 0) return;
      const body = 'z'.repeat(LONG_CELL_UNITS / 8);
      for (const id of [1, 2, 3, 4, 5, 6, 7, 8]) await patiently(session, `INSERT INTO c.shared VALUES (${id},0,'${body}')`);
      for (const _ of [2, 4, 8]) await patiently(session, 'UPDATE c.shared SET body = body || body WHERE id >= 0');
    },
    run: (session) => patiently(session, 'UPDATE c.shared SET n = n + 1 WHERE id >= 0'),
  },
  {
    name: 'transaction: UPDATE of 100,000 rows, COMMIT',
    run: (session) => transaction(session, ['UPDATE c.many SET n = n + 1 WHERE id >= 0']),
  },
  {
    name: 'transaction: 100 INSERTs of 1,000 rows, a look at them between, COMMIT',
    prepare: emptyCopy,
    run: (session) => transaction(session, thousandsAndLooks),
  },
  {
    name: 'transaction: savepoint, UPDATE of 100,000 rows, back to it',
    run: (session) => transaction(session, ['SAVEPOINT a', 'UPDATE c.many SET n = n + 1 WHERE id >= 0', 'ROLLBACK TO SAVEPOINT a']),
  },
  {
    name: '100 INSERTs of 1,000 rows at once',
    prepare: emptyCopy,
    run: (session) => Promise.all(thousands.map((text) => patiently(session, text))),
  },
  {
    name: '20,000 INSERTs of one row, 200 at once, and a COUNT',
    prepare: emptyCopy,
    run: async (session) => {
      let next = 0;
      const writer = async (): Promise<void> => {
        while (next < 20_000) await patiently(session, `INSERT INTO c.copy VALUES ${values((next++ * 7919) % 20_000, 1)}`);
      };
      await Promise.all(times(200, writer));
      await session.execute('SELECT COUNT(*), MAX(n) FROM c.copy');
    },
  },
];

const texts: readonly LoopCase[] = [
  {
    name: 'INSERT … VALUES, 60,000 rows in 1 MiB',
    prepare: (session) => patiently(session, 'DELETE FROM c.narrow WHERE id >= 0'),
    run: (session) => patiently(session, longInsert),
  },
  {
    name: 'the same in a transaction',
    prepare: (session) => patiently(session, 'DELETE FROM c.narrow WHERE id >= 0'),
    run: (session) => transaction(session, [longInsert]),
  },
  {
    name: 'a batch of 20,000 INSERTs in 1 MiB',
    prepare: (session) => patiently(session, 'DELETE FROM c.narrow WHERE id >= 0'),
    run: (session) => patiently(session, longBatch),
  },
  {
    name: 'INSERT … VALUES with expressions, 2,000 rows',
    prepare: (session) => patiently(session, 'DELETE FROM c.narrow WHERE id >= 0'),
    run: (session) => session.execute(sums),
  },
  {
    name: 'SELECT … WHERE id IN (10,000 keys)',
    run: (session) => session.execute(manyKeys),
  },
];

const streams: readonly LoopCase[] = [
  {
    name: 'STREAM: INSERT … SELECT of 100,000 rows, COUNT, expiry',
    run: async (session) => {
      await session.execute('INSERT INTO c.events SELECT id, n, body FROM c.src');
      await session.execute('SELECT COUNT(*), MAX(n) FROM c.events');
      await sleep(4000);
    },
  },
  {
    name: 'STREAM: DELETE of 100,000 rows',
    prepare: (session) => session.execute('INSERT INTO c.events SELECT id, n, body FROM c.src'),
    run: (session) => session.execute('DELETE FROM c.events WHERE id >= 0'),
  },
];

const readers: readonly LoopCase[] = [
  ...[1, 20].map(
    (subscribers): LoopCase => ({
      name: `UPDATE of 100,000 rows, ${subscribers} subscribers`,
      run: async (session, _round, database) => {
        const all = await follow(database, 'SELECT * FROM c.followed', subscribers);
        await patiently(session, 'UPDATE c.followed SET n = n + 1 WHERE id >= 0');
        await all(CASE_ROWS);
      },
    }),
  ),
  {
    name: 'UPDATE of one row, 900 subscribers',
    run: async (session, _round, database) => {
      const all = await follow(database, 'SELECT * FROM c.followed', 900);
      await session.execute('UPDATE c.followed SET n = n + 1 WHERE id = 5');
      await all(1);
    },
  },
  { name: 'SELECT * of 100,000 rows', run: (session) => session.execute('SELECT * FROM c.src') },
  {
    name: 'SELECT * of 20,000 rows, cached',
    run: (session) => session.execute('SELECT * FROM c.src WHERE id < 19000 ORDER BY body, id DESC'),
  },
];

/** All of them, by what they press on. */
export const LOOP_CASES: readonly LoopCase[] = [...commits, ...texts, ...streams, ...readers];

/** Resolves when the hot tier has caught up with all commits, which those of streams never reach, and the overlay has let go of them. */
export async function settled(database: Database): Promise<void> {
  for (let last = -1n; last !== database.status().appliedSeq; ) {
    last = database.status().appliedSeq;
    await sleep(SETTLE_MILLIS);
  }
}

/** Why a case could not be run. */
export function failureText(error: unknown): string {
  if (error instanceof StatementError) return error.failure.error.code;
  return error instanceof Error ? error.message : String(error);
}
