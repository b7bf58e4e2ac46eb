import { VirtualTime } from '@kalamdb/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal } from '../contract.ts';
import { EVICTION_MILLIS } from '../jobs/jobs.ts';
import { EVICTION_ROW_MILLIS } from '../jobs/stream-eviction.ts';
import { StatementError } from '../session/statement-error.ts';
import type { Database } from './database.ts';
import { type DatabaseOptions, openDatabase } from './open-database.ts';

const root: Principal = { userId: 'root', role: 'system' };
const alice: Principal = { userId: 'alice', role: 'user' };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

async function open(options: Partial<DatabaseOptions> = {}): Promise<Database> {
  const database = await openDatabase({ directory: undefined, durability: 'relaxed', ...options });
  cleanups.push(() => database.close());
  return database;
}

async function rows(database: Database, sql: string, principal = root): Promise<readonly (readonly unknown[])[]> {
  const last = (await database.session(principal).execute(sql)).at(-1);
  return last?.kind === 'rows' ? last.rows : [[last?.message]];
}

async function refusal(database: Database, sql: string, principal = root): Promise<string> {
  try {
    await rows(database, sql, principal);
  } catch (error) {
    if (error instanceof StatementError) return error.failure.error.message;
    return error instanceof Error ? error.message : String(error);
  }
  return 'done';
}

/** Lets commits and jobs go on that need no time. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('KILL JOB', () => {
  it('refuses what is not there, what has ended, what must not be ended, and who may not', async () => {
    const time = new VirtualTime();
    const database = await open({ clock: time, timers: time, jobs: { runningMax: 0 } });
    await rows(database, 'CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY)');
    expect(await refusal(database, "KILL JOB 'FL-000000000000'")).toBe('Not found: Job FL-000000000000 not found');
    expect(await refusal(database, "KILL JOB 'nonsense'", alice)).toBe('Admin privileges (DBA or System role) required for job management');
    const [[answer] = []] = await rows(database, 'DROP TABLE app.t');
    const [jobId = ''] = /CL-[0-9a-f]{12}/.exec(String(answer)) ?? [];
    expect(await rows(database, `SELECT job_type, status FROM system.jobs WHERE job_id = '${jobId}'`)).toEqual([['cleanup', 'queued']]);
    expect(await refusal(database, `KILL JOB '${jobId}'`)).toBe('Invalid operation: Cleanup jobs cannot be safely cancelled');
    await rows(database, "CREATE USER bob WITH PASSWORD 'Passw0rd-xy' ROLE user; DROP USER bob");
    const [[userJob] = []] = await rows(database, "SELECT job_id FROM system.jobs WHERE job_type = 'user_cleanup'");
    expect(await rows(database, `KILL JOB '${userJob}'`)).toEqual([[`Job ${userJob} killed: cancelled`]]);
    expect(await refusal(database, `KILL JOB '${userJob}'`)).toBe('Invalid operation: Cannot cancel job in status Cancelled');
    expect(await rows(database, `SELECT status, message FROM system.jobs WHERE job_id = '${userJob}'`)).toEqual([
      ['cancelled', 'Cancelled by user'],
    ]);
    expect(await rows(database, "SELECT actor_user_id, target FROM system.audit_log WHERE action = 'KILL_JOB'")).toEqual([
      ['root', `job:${userJob}`],
    ]);
    const stats = await rows(database, "SELECT metric_name, metric_value FROM system.stats WHERE metric_name LIKE '%jobs%'");
    expect(stats).toEqual([
      ['total_jobs', '2'],
      ['jobs_running', '0'],
      ['jobs_queued', '1'],
      ['jobs_failed', '0'],
    ]);
  });
});

describe('DROP USER', () => {
  it('revokes the tokens, and keeps what the user has written', async () => {
    const database = await open();
    await rows(database, 'CREATE NAMESPACE app; CREATE USER TABLE app.t (id INT PRIMARY KEY)');
    await rows(database, "CREATE USER alice WITH PASSWORD 'Passw0rd-xy' ROLE user; CREATE USER eve WITH PASSWORD 'Passw0rd-xy' ROLE user");
    for (const userId of ['alice', 'alice', 'eve']) await database.apiTokens.create({ userId, name: 'n', expiresInDays: undefined }, root);
    await rows(database, 'INSERT INTO app.t VALUES (1), (2)', alice);
    await rows(database, 'DROP USER alice');
    const status = async (): Promise<unknown> => (await rows(database, 'SELECT job_type, status FROM system.jobs'))[0];
    await expect.poll(status).toEqual(['user_cleanup', 'completed']);
    expect(await rows(database, 'SELECT parameters, message, idempotency_key FROM system.jobs')).toEqual([
      [
        '{"user_id":"alice","username":"alice","cascade":false}',
        `{"message":"Cleaned up user 'alice' successfully - 2 API tokens revoked; rows in USER tables are kept"}`,
        'drop-user-alice',
      ],
    ]);
    expect(await rows(database, 'SELECT user_id FROM system.api_tokens')).toEqual([['eve']]);
    expect(await rows(database, "EXECUTE AS USER 'alice' (SELECT COUNT(*) FROM app.t)")).toEqual([[2n]]);
    const nodes = await rows(database, 'SELECT node_id, status, error_message FROM system.job_nodes');
    expect(nodes).toEqual([[1n, 'completed', null]]);
  });
});

describe('expired events', () => {
  it('are forgotten within a second, and told as one job for a table and minute', async () => {
    const time = new VirtualTime();
    const database = await open({ clock: time, timers: time });
    await rows(database, "CREATE NAMESPACE app; CREATE STREAM TABLE app.e (n INT) WITH (TTL_SECONDS = '5')");
    const seconds = async (count: number): Promise<void> => {
      for (let second = 0; second < count; second++) {
        time.advance(EVICTION_MILLIS);
        await settled();
      }
    };
    const jobs = (): Promise<readonly (readonly unknown[])[]> =>
      rows(database, "SELECT message FROM system.jobs WHERE job_type = 'stream_eviction' ORDER BY created_at");
    const message = (events: number): string => `{"message":"Evicted ${events} expired events from app:e (ttl: 5s)"}`;
    await seconds(10);
    expect(await jobs()).toEqual([]);
    await rows(database, 'INSERT INTO app.e VALUES (1), (2)');
    await seconds(8);
    expect(await jobs()).toEqual([[message(2)]]);
    for (let n = 0; n < 30; n++) {
      await rows(database, `INSERT INTO app.e VALUES (${n})`);
      await seconds(1);
    }
    expect(await jobs()).toHaveLength(1);
    await seconds(EVICTION_ROW_MILLIS / 1000);
    expect(await jobs()).toEqual([[message(2)], [message(30)]]);
    await seconds(EVICTION_ROW_MILLIS / 500);
    expect(await jobs()).toHaveLength(2);
    const shown = await rows(database, "SELECT parameters, status FROM system.jobs WHERE job_type = 'stream_eviction' LIMIT 1");
    expect(shown).toEqual([['{"table_id":"app.e","table_type":"stream","ttl_seconds":5}', 'completed']]);
  });
});
