import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, ServerProcess } from '@kalamdb/testing';
import { columnsOf, type LiveTable, liveQuery, Place } from '../live-oracle/places.ts';
import { RawConnection, WIRE_FORMS } from '../live-oracle/raw-connection.ts';
import { RawFollower } from '../live-oracle/raw-follower.ts';
import { CELL_VALUES, ROW_FILTERS } from '../live-oracle/row-filter.ts';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import { Crowd } from './crowd.ts';
import { metricsOf, type Quantity, type Sample, Sampler } from './sampler.ts';
import type { Flatness } from './series.ts';

const ROOT_PASSWORD = 'soak-root-password';
const USER_PASSWORD = 'soak-user-password';
const USERS = ['alice', 'bob', 'carol'] as const;
const SOCKETS = 40;
/** Rows of each table; writers change, delete and write them again, so that what there is stays as much as it is. */
const KEYS = 2_000;
/** Between two requests of one writer. */
const PACE_MILLIS = 10;
const EVENT_TTL_SECONDS = 20;
const FLUSH_MILLIS = 15_000;
const SAMPLE_MILLIS = 10_000;
const PROBE_MILLIS = 50;
/** Time for everything to be given back at the end. */
const CLEANUP_MILLIS_MAX = 15_000;

const TABLES = {
  notes: { name: 'app.notes', kind: 'user', keyType: 'INT', passing: undefined },
  board: { name: 'app.board', kind: 'shared', keyType: 'INT', passing: undefined },
  events: { name: 'app.events', kind: 'stream', keyType: 'INT', passing: undefined },
} satisfies Record<string, LiveTable>;
const PROBE: LiveTable = { name: 'app.probe', kind: 'shared', keyType: 'INT', passing: undefined };

/** How long, and what it is told as it goes. */
export interface SoakRun {
  readonly minutes: number;
  readonly seed: number;
  readonly sampled: (sample: Sample) => void;
}

/** What came of it. */
export interface SoakReport {
  readonly verdicts: readonly (readonly [Quantity, Flatness])[];
  /** What was left when everybody had gone; empty when nothing was. */
  readonly orphans: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * A server under churn: sockets and subscriptions that come and go, writers, events that expire, flushes and compactions. Samples its memory,
 * its handles, and how long a change takes to its subscriber; in the end everybody leaves, and nothing of them may be left.
 */
export async function runSoak(run: SoakRun): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-soak-'));
  const settings = UNHURRIED_SETTINGS.replace('[rate_limit]', '[rate_limit]\nmax_messages_per_sec = 100000');
  const server = await ServerProcess.start({ folder, durability: 'relaxed', rootPassword: ROOT_PASSWORD, settings });
  const soak = new Soak(run, server);
  try {
    await soak.prepare();
    await soak.work();
    return await soak.leave();
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const pause = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

class Soak {
  readonly #run: SoakRun;
  readonly #server: ServerProcess;
  readonly #api = new Api();
  readonly #random: SeededRandom;
  readonly #sampler: Sampler;
  readonly #crowd: Crowd;
  readonly #counts = { statements: 0, events: 0, flushes: 0, compactions: 0, probes: 0 };
  #probe: RawConnection | undefined;
  #over = false;
  #eventId = 0;

  constructor(run: SoakRun, server: ServerProcess) {
    this.#run = run;
    this.#server = server;
    this.#random = new SeededRandom(run.seed);
    this.#sampler = new Sampler(server);
    this.#api.url = server.url;
    const parts = {
      random: new SeededRandom(run.seed + 1),
      port: () => server.port,
      users: USERS,
      tokenOf: (user: string) => this.#api.token(user),
      tables: Object.values(TABLES),
    };
    this.#crowd = new Crowd(parts, () => this.#over);
  }

  async prepare(): Promise<void> {
    await this.#api.login('root', ROOT_PASSWORD);
    const statements = [
      'CREATE NAMESPACE app',
      `CREATE USER TABLE app.notes (${columnsOf(TABLES.notes)})`,
      `CREATE SHARED TABLE app.board (${columnsOf(TABLES.board)}) WITH (ACCESS_LEVEL = 'public')`,
      `CREATE SHARED TABLE app.probe (${columnsOf(PROBE)}) WITH (ACCESS_LEVEL = 'public')`,
      `CREATE STREAM TABLE app.events (${columnsOf(TABLES.events)}) WITH (TTL_SECONDS = ${EVENT_TTL_SECONDS}, SCOPE = 'SHARED')`,
      'INSERT INTO app.probe (id, n) VALUES (1, 0)',
      ...USERS.map((user) => `CREATE USER '${user}' WITH PASSWORD '${USER_PASSWORD}' ROLE 'user'`),
    ];
    for (const sql of statements) await this.#sql('root', sql);
    for (const user of USERS) await this.#api.login(user, USER_PASSWORD);
  }

  async work(): Promise<void> {
    const end = performance.now() + this.#run.minutes * 60_000;
    const working = Promise.all([
      this.#crowd.run(SOCKETS),
      ...USERS.map((user) => this.#write(user, TABLES.notes)),
      this.#write('root', TABLES.board),
      this.#emit(),
      this.#moveRows(),
      this.#measure(),
    ]).finally(() => {
      this.#over = true;
    });
    const sampling = async (): Promise<void> => {
      while (performance.now() < end && !this.#over) {
        await pause(SAMPLE_MILLIS);
        this.#run.sampled(await this.#sampler.take());
      }
      this.#over = true;
    };
    await Promise.all([working, sampling()]);
  }

  /** Everybody goes; what is the server's then? */
  async leave(): Promise<SoakReport> {
    this.#probe?.drop();
    const deadline = performance.now() + CLEANUP_MILLIS_MAX;
    let orphans = await this.#orphans();
    while (orphans.length > 0 && performance.now() < deadline) {
      await pause(100);
      orphans = await this.#orphans();
    }
    return { verdicts: this.#sampler.verdicts(), orphans, counts: { ...this.#counts, ...this.#crowd.counts } };
  }

  async #orphans(): Promise<readonly string[]> {
    const figures = await metricsOf(this.#server.url);
    const names = ['kalamdb_websocket_connections', 'kalamdb_subscriptions', 'kalamdb_subscription_groups', 'kalamdb_outbox_bytes'];
    const found = [...names, 'kalamdb_open_transactions'].filter((name) => figures.get(name) !== 0);
    const [rows = []] = await this.#api.rows('root', 'SELECT live_id FROM system.live');
    return [...found.map((name) => `${name} ${figures.get(name)}`), ...rows.map(([id]) => String(id))];
  }

  async #sql(user: string, sql: string): Promise<string> {
    const { results, error } = await this.#api.sql(user, sql);
    if (error !== undefined) throw new Error(`${user}: ${sql}: ${error}`);
    return results[0]?.message ?? '';
  }

  async #write(user: string, table: LiveTable): Promise<void> {
    while (!this.#over) {
      const id = this.#random.integer(KEYS);
      await this.#sql(user, this.#random.integer(8) === 0 ? `DELETE FROM ${table.name} WHERE id = ${id}` : this.#upsert(table, id));
      this.#counts.statements += 1;
      await pause(PACE_MILLIS);
    }
  }

  #row(id: number): string {
    const { n, txt, flag, doc } = CELL_VALUES;
    const text = (value: string | null): string => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);
    const body = this.#random.integer(10) === 0 ? 'b'.repeat(5_000) : 'short';
    const cells = [this.#random.pick<number | null>(n) ?? 'NULL', text(this.#random.pick<string | null>(txt))];
    return `(${id}, ${cells.join(', ')}, ${this.#random.pick<boolean | null>(flag)}, ${text(this.#random.pick<string | null>(doc))}, '${body}')`;
  }

  #upsert({ name }: LiveTable, id: number): string {
    const set = 'n = excluded.n, txt = excluded.txt, flag = excluded.flag, doc = excluded.doc, body = excluded.body';
    return `INSERT INTO ${name} (id, n, txt, flag, doc, body) VALUES ${this.#row(id)} ON CONFLICT (id) DO UPDATE SET ${set}`;
  }

  async #emit(): Promise<void> {
    while (!this.#over) {
      const rows = Array.from({ length: 5 }, () => this.#row(++this.#eventId));
      await this.#sql('root', `INSERT INTO app.events (id, n, txt, flag, doc, body) VALUES ${rows.join(', ')}`);
      this.#counts.events += rows.length;
      await pause(PACE_MILLIS * 2);
    }
  }

  async #moveRows(): Promise<void> {
    for (let round = 1; !this.#over; round++) {
      for (let waited = 0; waited < FLUSH_MILLIS && !this.#over; waited += 250) await pause(250);
      for (const { name } of [TABLES.notes, TABLES.board]) {
        const compacts = round % 4 === 0;
        const { error } = await this.#api.sql('root', `STORAGE ${compacts ? 'COMPACT' : 'FLUSH'} TABLE ${name}`);
        if (error !== undefined && !error.includes('Idempotent conflict')) throw new Error(error);
        if (error === undefined) this.#counts[compacts ? 'compactions' : 'flushes'] += 1;
      }
    }
  }

  /** From the sending of an UPDATE to its frame on a socket of its own. */
  async #measure(): Promise<void> {
    const [form, all] = [WIRE_FORMS[0], ROW_FILTERS[0]];
    if (form === undefined || all === undefined) throw new Error('no form');
    const connection = new RawConnection({ port: () => this.#server.port, token: this.#api.token('root'), form });
    const query = liveQuery({ place: new Place(PROBE, undefined), user: 'root', filter: all, columns: undefined });
    const follower = new RawFollower('probe', connection, { query, beginning: { kind: 'changes' }, batchSize: undefined });
    connection.follow(follower);
    this.#probe = connection;
    let sentAt = 0;
    follower.onHeard = (): void => {
      if (follower.heard.splice(0).some(({ kind }) => kind === 'change')) this.#sampler.latency(performance.now() - sentAt);
    };
    while (!this.#over) {
      await pause(PROBE_MILLIS);
      // It goes when the machine has so much to do that nothing is heard for seconds.
      if (!connection.isOpen) await connection.open().catch(() => undefined);
      sentAt = performance.now();
      await this.#sql('root', `UPDATE app.probe SET n = ${++this.#counts.probes} WHERE id = 1`);
    }
  }
}
