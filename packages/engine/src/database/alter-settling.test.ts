import { KalamError } from '@kalamdb/protocol';
import { VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { SimulatedClient } from '../live/simulated-client.fixture.ts';
import { APPLY_RETRY_MILLIS } from '../sequencer/applier.ts';
import { SETTLE_MILLIS } from '../sequencer/sequencer.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { MemoryDisk } from './memory-disk.fixture.ts';
import { databaseOn } from './open-database.ts';
import { ROOT } from './statement-world.fixture.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Scene {
  readonly disk = new MemoryDisk();
  readonly time = new VirtualTime();

  async open(): Promise<Database> {
    const { time } = this;
    const options = { directory: undefined, durability: 'relaxed', clock: time, timers: time, onWarning: () => undefined } as const;
    return this.pump(databaseOn(await this.disk.open(), options));
  }

  async start(): Promise<Database> {
    const database = await this.open();
    await this.answer(database, 'CREATE NAMESPACE app; CREATE TABLE app.t (id INT PRIMARY KEY, a INT, b TEXT)');
    await this.answer(database, "INSERT INTO app.t VALUES (1, 1, 'x'), (2, 2, 'y')");
    return database;
  }

  /** Lets the event loop turn until `work` is done. */
  async pump<T>(work: Promise<T>, millis = 1): Promise<T> {
    let done = false;
    const finished = work.finally(() => {
      done = true;
    });
    finished.catch(() => undefined);
    while (!done) {
      await turn();
      if (!done) this.time.advance(millis);
    }
    return finished;
  }

  /** Rows, a message, or the code of the error. */
  async answer(database: Database, sql: string, millis?: number): Promise<unknown> {
    try {
      const last = (await this.pump(database.session(ROOT).execute(sql), millis)).at(-1);
      return last?.kind === 'rows' ? last.rows.map((row) => row.slice(0, -2)) : last?.message;
    } catch (error) {
      const found = error instanceof StatementError ? error.failure.error : error;
      if (found instanceof KalamError) return found.code;
      throw error;
    }
  }
}

describe('ALTER TABLE and the hot tier behind it', () => {
  it('fails after its time when the hot tier stands still, and leaves the table as it was and free', async () => {
    const scene = new Scene();
    const database = await scene.start();
    scene.disk.hold();
    await scene.answer(database, "INSERT INTO app.t VALUES (3, 3, 'z')");
    const before = scene.time.elapsed();
    const altering = scene.answer(database, 'ALTER TABLE app.t DROP COLUMN a', 50);
    await turn();
    // Waits for the latch, and goes on when the ALTER has given up.
    const writing = scene.answer(database, "INSERT INTO app.t VALUES (4, 4, 'w')", 50);
    expect(await altering).toBe('WRITES_BUSY');
    expect(scene.time.elapsed() - before).toBeLessThan(SETTLE_MILLIS + 1000);
    expect(await writing).toBe('Inserted 1 row(s)');
    expect(await scene.answer(database, 'SELECT * FROM app.t WHERE id > 2')).toEqual([
      [3, 3, 'z'],
      [4, 4, 'w'],
    ]);
    scene.disk.release();
    expect(await scene.answer(database, 'ALTER TABLE app.t DROP COLUMN a')).toContain('altered successfully');
    expect(await scene.answer(database, 'SELECT * FROM app.t WHERE id > 2')).toEqual([
      [3, 'z'],
      [4, 'w'],
    ]);
    await scene.pump(database.close());
  });

  it('outlives batches that fail, and ends with the database', async () => {
    const scene = new Scene();
    const database = await scene.start();
    scene.disk.failures = 3;
    const before = scene.time.elapsed();
    expect(await scene.answer(database, 'ALTER TABLE app.t ADD COLUMN c INT', 50)).toContain('altered successfully');
    expect(scene.time.elapsed() - before).toBeGreaterThanOrEqual(2 * APPLY_RETRY_MILLIS);
    await scene.answer(database, "INSERT INTO app.t VALUES (5, 5, 'v', 5)");
    scene.disk.failures = 1000;
    const altering = scene.answer(database, 'ALTER TABLE app.t DROP COLUMN c');
    await turn();
    await scene.pump(database.close());
    expect(await altering).toBe('SHUTTING_DOWN');
  });

  it('is whole after a crash, with the rows of both versions that the hot tier had not got', async () => {
    const scene = new Scene();
    const database = await scene.start();
    const client = new SimulatedClient();
    const connection = database.live.connect(ROOT, { connectionId: 'c', sink: client });
    await scene.pump(connection.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: {} }));
    connection.close();
    await scene.answer(database, "INSERT INTO app.t VALUES (3, 3, 'z')");
    await scene.answer(database, 'ALTER TABLE app.t DROP COLUMN a');
    scene.disk.hold();
    await scene.answer(database, 'ALTER TABLE app.t RENAME COLUMN id TO number; ALTER TABLE app.t RENAME COLUMN number TO id');
    await scene.answer(database, "INSERT INTO app.t VALUES (4, 'w')");
    await scene.answer(database, "UPDATE app.t SET b = 'changed' WHERE id = 1");
    await scene.answer(database, 'DELETE FROM app.t WHERE id = 2');
    scene.disk.crash();
    const reopened = await scene.open();
    const rows = [
      [1, 'changed'],
      [3, 'z'],
      [4, 'w'],
    ];
    expect(await scene.answer(reopened, 'SELECT * FROM app.t')).toEqual(rows);
    client.reconnected();
    const again = reopened.live.connect(ROOT, { connectionId: 'd', sink: client });
    await scene.pump(again.subscribe({ id: 's', sql: 'SELECT * FROM app.t', options: { from: client.highest } }));
    while (again.subscriptions()[0]?.state !== 'live') await scene.pump(turn());
    expect([...client.rows.values()].map(({ id, b }) => [id, b]).sort()).toEqual(rows);
    expect(client.problems).toEqual([]);
    await scene.pump(reopened.close());
  });
});
