import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';
import type { LeakRole, Receiver } from './access-model.ts';
import { playAnonymous } from './anonymous.ts';
import { LiveEars, type Serialization } from './live-ears.ts';
import { Markers } from './markers.ts';
import { sceneStatements } from './scene.ts';
import { nextLeakStatement } from './statements.ts';

const NOBODY: Receiver = { name: 'nobody', role: 'nobody' };
const LOG: Receiver = { name: 'the log', role: 'nobody' };
const ROOT: Receiver = { name: 'root', role: 'system' };
/** Besides root; two of each of the first two, the others by chance. */
const FIXED_ROLES: readonly LeakRole[] = ['user', 'user', 'service', 'dba'];
const CHANCE_ROLES: readonly LeakRole[] = ['user', 'service', 'dba'];
/** Statements between two rounds over all other roads. */
const ROUND_STATEMENTS = 100;
/** Time in which frames that are on their way arrive. */
const LAST_FRAMES_MILLIS = 500;

/** What was looked through. */
export interface LeakReport {
  readonly leaks: readonly string[];
  /** Characters by road. */
  readonly scanned: ReadonlyMap<string, number>;
  /** Values that reached somebody who may have them. */
  readonly seen: number;
  readonly statements: number;
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>;
}

/** Plays random principals against one server; every byte that leaves it is looked through. */
export async function runLeaks({ seed, statements }: { readonly seed: number; readonly statements: number }): Promise<LeakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-leaks-'));
  const markers = new Markers();
  const secret = (): string => `Zq-${markers.text({ place: { kind: 'secret' }, sender: 'root' })}`;
  const rootPassword = secret();
  const server = await ServerProcess.start({
    folder,
    rootPassword,
    settings: UNHURRIED_SETTINGS,
    environment: { KALAMDB_LOG_LEVEL: 'trace', KALAMDB_LOG_FORMAT: 'json', KALAMDB_JWT_SECRET: `${secret()}-more-than-32-characters` },
  });
  try {
    const run = new Run({ server, markers, random: new SeededRandom(seed), rootPassword });
    await run.prepare(secret);
    await run.play(statements);
    await server.stop();
    markers.scan(LOG, 'log', server.output);
    run.findTokens('log', server.output);
    await playAnonymous(new SeededRandom(seed), markers, statements);
    const { leaks, scanned, seen } = markers;
    return { leaks: [...leaks, ...run.problems], scanned, seen, statements, statuses: run.statuses };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface RunParts {
  readonly server: ServerProcess;
  readonly markers: Markers;
  readonly random: SeededRandom;
  readonly rootPassword: string;
}

class Run {
  readonly problems: string[] = [];
  readonly statuses: Map<number, number> = new Map();
  readonly #parts: RunParts;
  readonly #api = new Api();
  readonly #cast: readonly Receiver[];
  readonly #ears: LiveEars[] = [];
  /** The signatures of the tokens that were given out. */
  readonly #tokens: string[] = [];

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#api.url = parts.server.url;
    const chance = [parts.random.pick(CHANCE_ROLES), parts.random.pick(CHANCE_ROLES)];
    this.#cast = [ROOT, ...[...FIXED_ROLES, ...chance].map((role, index) => ({ name: `p${index}`, role }))];
  }

  async prepare(secret: () => string): Promise<void> {
    const { markers, rootPassword } = this.#parts;
    await this.#login(ROOT, rootPassword);
    for (const sql of sceneStatements(markers)) {
      const { status, body } = await this.#send(ROOT, sql);
      if (status !== 200) throw new Error(`${sql}: ${body}`);
    }
    for (const receiver of this.#cast.slice(1)) {
      const password = secret();
      const email = `${markers.text({ place: { kind: 'administration' }, sender: receiver.name })}@example.org`;
      const { status, body } = await this.#send(
        ROOT,
        `CREATE USER '${receiver.name}' WITH PASSWORD '${password}' ROLE ${receiver.role} EMAIL '${email}'`,
      );
      if (status !== 200) throw new Error(body);
      await this.#login(receiver, password);
      for (const serialization of ['json', 'msgpack'] as const) await this.#listen(receiver, serialization);
    }
  }

  async play(statements: number): Promise<void> {
    const { random, markers } = this.#parts;
    for (let index = 0; index < statements; index++) {
      const sender = random.pick(this.#cast);
      await this.#send(sender, nextLeakStatement(random, { sender, others: this.#cast, markers }));
      if (index % ROUND_STATEMENTS !== ROUND_STATEMENTS - 1) continue;
      for (const receiver of [NOBODY, ...this.#cast]) await this.#otherRoads(receiver);
      for (const ears of this.#ears) ears.resume(index);
    }
    await new Promise((resolve) => setTimeout(resolve, LAST_FRAMES_MILLIS));
    for (const ears of this.#ears) {
      if (ears.frames < 10) this.problems.push(`a connection of role ${ears.role} heard ${ears.frames} frames`);
      ears.close();
    }
  }

  /** Looks for tokens, which nobody hears of but who logs in. */
  findTokens(road: string, bytes: string): void {
    if (this.#tokens.some((token) => bytes.includes(token))) this.problems.push(`${road}: a token in ${bytes.slice(0, 300)}`);
  }

  async #login(receiver: Receiver, password: string): Promise<void> {
    await this.#api.login(receiver.name, password);
    const token = this.#api.token(receiver.name);
    this.#tokens.push(token.split('.')[2] ?? token);
  }

  async #listen(receiver: Receiver, serialization: Serialization): Promise<void> {
    const { server, markers } = this.#parts;
    const token = this.#api.token(receiver.name);
    this.#ears.push(await LiveEars.open({ url: server.url, token, receiver, serialization, markers }));
  }

  async #send(sender: Receiver, sql: string): Promise<{ readonly status: number; readonly body: string }> {
    const answer = await this.#api.request(sender.name, sql);
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    this.#look(sender, `SQL, ${answer.status}`, answer.body);
    return answer;
  }

  #look(receiver: Receiver, road: string, bytes: string): void {
    this.#parts.markers.scan(receiver, road, bytes);
    this.findTokens(road, bytes);
  }

  async #otherRoads(receiver: Receiver): Promise<void> {
    const headers: Record<string, string> = receiver.role === 'nobody' ? {} : { authorization: `Bearer ${this.#api.token(receiver.name)}` };
    const gets = ['/health', '/health/ready', '/health/live', '/v1/api/healthcheck', '/v1/api/cluster/health', '/metrics', '/', '/nowhere'];
    const files = ['/v1/api/auth/me', '/v1/api/auth/status', '/v1/files/leak/u/a/b', '/v1/exports/p0/x'];
    for (const path of [...gets, ...files]) await this.#fetch(receiver, path, { headers });
    const posts: readonly (readonly [path: string, body: string])[] = [
      ['/v1/api/sql', '{"sql": "SELECT * FROM leak.prv'],
      ['/v1/api/sql', '{"sql": "SELECT * FROM leak.prv", "params": [{}]}'],
      ['/api/sql', '{"sql": "SELECT * FROM leak.prv"}'],
      ['/v1/api/sql', '{"sql": "SELECT CAST($1 AS INT) FROM leak.u", "params": ["x"]}'],
      ['/v1/api/topics/consume', '{"topic_id": "leak.t"}'],
      ['/v1/api/auth/login', '{"user": "p0", "password": "wrong"}'],
    ];
    const json = { ...headers, 'content-type': 'application/json' };
    for (const [path, body] of posts) await this.#fetch(receiver, path, { method: 'POST', headers: json, body });
  }

  async #fetch(receiver: Receiver, path: string, init: RequestInit): Promise<void> {
    const response = await fetch(`${this.#parts.server.url}${path}`, init);
    this.#look(receiver, path, `${JSON.stringify([...response.headers])}${await response.text()}`);
  }
}
