import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nextGrammarStatement, SCENE_STATEMENTS, SeededRandom, ServerProcess } from '@kalamdb/testing';
import { UNHURRIED_SETTINGS } from '../server-settings.ts';
import { Api } from '../sql-api.ts';

const ROOT_PASSWORD = 'grammar-root-password';
const PRINCIPALS = ['root', 'dora', 'sam', 'alice'] as const;
/** Milliseconds in which every request has its answer, however busy the machine is with other things. */
const ANSWER_MILLIS_MAX = 5000;
/** Every row of the scene and everything in the catalog, as an administrator sees it. */
const DUMP: readonly string[] = [
  ['system.namespaces', 'system.schemas', 'system.users', 'system.storages'].map((name) => `SELECT * FROM ${name} LIMIT 1000`).join('; '),
  ...['g.items', 'g.secret', 'g.top', 'g.kinds', 'g.notes'].map(
    (name) => `SELECT *, _seq, _deleted FROM ${name} WHERE _deleted = true OR _deleted = false LIMIT 1000`,
  ),
];

/** Plays statements over HTTP; what is answered wrongly, with the statuses that were met. */
export async function runGrammarOverHttp(seed: number, statements: number): Promise<{ problems: string[]; statuses: Map<number, number> }> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-grammar-'));
  const server = await ServerProcess.start({ folder, rootPassword: ROOT_PASSWORD, settings: UNHURRIED_SETTINGS });
  const api = new Api();
  api.url = server.url;
  const problems: string[] = [];
  const statuses = new Map<number, number>();
  try {
    await api.login('root', ROOT_PASSWORD);
    for (const sql of SCENE_STATEMENTS) await api.rows('root', sql);
    for (const user of PRINCIPALS.slice(1)) await api.login(user, 'scene-password');
    const random = new SeededRandom(seed);
    let before = await dump(api);
    for (let index = 0; index < statements; index++) {
      const { sql } = nextGrammarStatement(random);
      const principal = random.pick(PRINCIPALS);
      const start = performance.now();
      const { status, body } = await api.request(principal, sql);
      const millis = performance.now() - start;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const told = (problem: string): number =>
        problems.push(`seed ${seed}, statement ${index}, ${principal}: ${problem}: ${JSON.stringify(sql.slice(0, 300))}`);
      if (millis > ANSWER_MILLIS_MAX) told(`took ${Math.round(millis)} ms`);
      if (!isAnswer(status, body)) told(`was answered with ${status} ${body.slice(0, 300)}`);
      const after = await dump(api);
      if (status !== 200 && after !== before && isOneUnit(sql)) told(`was refused with ${body.slice(0, 200)} and changed something`);
      before = after;
    }
    return { problems, statuses };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether what was done before a failure is undone too. */
const isOneUnit = (sql: string): boolean => /^\s*BEGIN/i.test(sql) || !sql.replace(/;\s*$/, '').includes(';');

async function dump(api: Api): Promise<string> {
  const answers = await Promise.all(DUMP.map((sql) => api.request('root', sql)));
  return answers.map(({ body }) => body.replace(/"took":[\d.]+/, '')).join('\n');
}

/** Results, or an error of the table that is no failure of the server. */
function isAnswer(status: number, body: string): boolean {
  const parsed = JSON.parse(body) as { readonly status?: string; readonly error?: { readonly code?: string; readonly message?: string } };
  if (status === 200) return parsed.status === 'success';
  return (status === 400 || status === 403) && typeof parsed.error?.code === 'string' && (parsed.error.message ?? '') !== '';
}
