import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpConnection } from './http-connection.ts';
import { run, type Target } from './target.ts';

/** Columns of the tables that are moved into segments: {@link coldRows} fills them. */
export const COLD_COLUMNS = 'id INT PRIMARY KEY, name TEXT, score DOUBLE, active BOOLEAN';
/** Bytes of the values of such a row, about. */
export const COLD_ROW_BYTES = 32;
/** Rows of one INSERT. */
const INSERT_ROWS_MAX = 50_000;
/** Milliseconds between two looks at a job. */
const POLL_MILLIS = 5;
/** Milliseconds that a job may take. */
const JOB_MILLIS_MAX = 600_000;

/** The query whose rows are those with ids from `from` to before `to`; the names are told apart by what is not in their order. */
export function coldRows(from: number, to: number): string {
  return `SELECT i, 'customer ' || (i * 7919) % 1000003, i / 4.0, i % 2 = 0 FROM generate_series(${from}, ${to - 1}) AS s(i)`;
}

/** Inserts the rows with ids from `from` to before `to`, in large commits; WRITES_BUSY is tried again. */
export async function insertCold(
  connection: HttpConnection,
  target: Target,
  range: { readonly table: string; from: number; to: number },
): Promise<void> {
  for (let start = range.from; start < range.to; start += INSERT_ROWS_MAX) {
    const sql = `INSERT INTO ${range.table} (id, name, score, active) ${coldRows(start, Math.min(range.to, start + INSERT_ROWS_MAX))}`;
    for (let attempt = 1; ; attempt++) {
      try {
        await run(connection, target, sql);
        break;
      } catch (error) {
        if (attempt === 20 || !String(error).startsWith('Error: 503')) throw error;
        await sleep(100);
      }
    }
  }
}

/** Runs `STORAGE FLUSH TABLE …` or `STORAGE COMPACT TABLE …` and waits for its job; answers its message. */
export async function runJob(connection: HttpConnection, target: Target, sql: string): Promise<string> {
  const started = await run(connection, target, sql);
  const id = /Job ID: ([A-Za-z0-9-]+)/.exec(started)?.[1];
  if (id === undefined) throw new Error(`no job: ${started}`);
  for (let waited = 0; waited < JOB_MILLIS_MAX; waited += POLL_MILLIS) {
    const state = await run(connection, target, `SELECT status, message, exception_trace FROM system.jobs WHERE job_id = '${id}'`);
    if (state.includes('"completed"')) return state;
    if (state.includes('"failed"')) throw new Error(`${sql} has failed: ${state}`);
    await sleep(POLL_MILLIS);
  }
  throw new Error(`${sql} does not end`);
}

/** The files of a table's segments that its manifest names, and their bytes. */
export async function segmentFiles(
  connection: HttpConnection,
  target: Target,
  { folder, name }: { readonly folder: string; readonly name: string },
): Promise<{ readonly paths: readonly string[]; readonly bytes: number }> {
  const manifest = await run(connection, target, `SELECT manifest_json FROM system.manifest WHERE table_name = '${name}'`);
  const named = new Set([...manifest.matchAll(/batch-\d+\.parquet/g)].map(([file]) => file));
  const root = join(folder, 'data', 'storage');
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.split('/').includes(name) && named.has(path.split('/').at(-1) ?? ''),
  );
  if (found.length !== named.size || named.size === 0) throw new Error(`${found.length} of ${named.size} segments found below ${root}`);
  const paths = found.map((path) => join(root, path));
  return { paths, bytes: paths.reduce((bytes, path) => bytes + statSync(path).size, 0) };
}
