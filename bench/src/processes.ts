import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ServerProcess } from '@kalamdb/testing';
import type { Durability } from './goals.ts';
import { HttpConnection } from './http-connection.ts';
import type { Target } from './target.ts';

const USER = 'root';
const PASSWORD = 'bench-only-password';
const SETTINGS = `
[rate_limit]
max_queries_per_sec = 1000000
max_auth_requests_per_ip_per_sec = 1000000
max_messages_per_sec = 1000000
max_subscriptions_per_user = 1000000
[websocket]
client_timeout_secs = 3600
[performance]
keepalive_timeout = 3600
[compaction]
check_interval_seconds = 86400
`;

/** A server to start: its folder and mode. */
export interface ServerSpec {
  readonly folder: string;
  readonly durability: Durability;
}

/** Gives `work` a folder that is removed afterwards. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a server for as long as `work` takes. */
export async function withServer<T>(
  spec: ServerSpec & { readonly seconds: number },
  work: (target: Target, pid: number) => Promise<T>,
): Promise<T> {
  const server = await start(spec);
  try {
    const { url, pid } = server;
    return await work(
      { url, token: await login(url, { user: USER, password: PASSWORD }), user: USER, password: PASSWORD, seconds: spec.seconds },
      pid,
    );
  } finally {
    await server.stop();
  }
}

/** Milliseconds from starting the process until it serves. */
export async function startMillis(spec: ServerSpec): Promise<number> {
  const begun = performance.now();
  const server = await start(spec);
  const millis = performance.now() - begun;
  await server.stop();
  return millis;
}

/** Runs the empty handler for as long as `work` takes. */
export async function emptyServer(seconds: number, work: (target: Target) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'empty-server.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    const [url] = await once(child.stdout, 'data');
    await work({ url: String(url).trim(), token: 'x'.repeat(300), user: '', password: '', seconds });
  } finally {
    child.stdin.end();
    await ended;
  }
}

/** Fills the data of a folder in a process of its own, so that this one stays small. */
export function makeLargeDirectory(folder: string, size: { readonly rows: number; readonly tables: number }): Promise<void> {
  return makeDirectory('large-directory.js', folder, [size.rows, size.tables]);
}

/** The same with a table in segments. */
export function makeColdDirectory(folder: string, size: { readonly rows: number; readonly segments: number }): Promise<void> {
  return makeDirectory('cold-directory.js', folder, [size.rows, size.segments]);
}

async function makeDirectory(script: string, folder: string, sizes: readonly number[]): Promise<void> {
  const env = { ...process.env, KALAMDB_ROOT_PASSWORD: PASSWORD };
  const program = [join(import.meta.dirname, script), join(folder, 'data'), ...sizes.map(String)];
  const child = spawn(process.execPath, program, { env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${script} has failed: exit code ${code}`);
}

function start({ folder, durability }: ServerSpec): Promise<ServerProcess> {
  return ServerProcess.start({ folder, durability, rootPassword: PASSWORD, settings: SETTINGS });
}

/** An access token. */
export async function login(url: string, credentials: { readonly user: string; readonly password: string }): Promise<string> {
  const connection = await HttpConnection.open(url);
  const { body } = await connection.post('/v1/api/auth/login', JSON.stringify(credentials));
  connection.close();
  const token = /"access_token":"([^"]+)"/.exec(body)?.[1];
  if (token === undefined) throw new Error(`no token: ${body}`);
  return token;
}
