// Measures a server of its own on loopback and prints one table for each durability mode.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ServerProcess } from '@kalamdb/testing';
import { commitToCallback, emptyHandler, insertBatch, insertOne, selects, type Target } from './cases.ts';
import { HttpConnection } from './http-connection.ts';
import type { Measurement } from './measure.ts';

const PASSWORD = 'bench-only-password';
const SETTINGS = `
[rate_limit]
max_queries_per_sec = 1000000
max_auth_requests_per_ip_per_sec = 1000
`;

const { values: flags } = parseArgs({ options: { mode: { type: 'string' }, seconds: { type: 'string', default: '5' } } });
const seconds = Number(flags.seconds);
const modes = (['sync', 'relaxed'] as const).filter((mode) => flags.mode === undefined || flags.mode === mode);

async function login(url: string): Promise<string> {
  const connection = await HttpConnection.open(url);
  const { body } = await connection.post('/v1/api/auth/login', JSON.stringify({ user: 'root', password: PASSWORD }));
  connection.close();
  const token = /"access_token":"([^"]+)"/.exec(body)?.[1];
  if (token === undefined) throw new Error(`no token: ${body}`);
  return token;
}

async function floor(): Promise<readonly Measurement[]> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'empty-server.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [url] = await once(child.stdout, 'data');
  const target = { url: String(url).trim(), token: 'x'.repeat(300), user: '', password: '', seconds };
  try {
    return [await emptyHandler(target, 1), await emptyHandler(target, 64)];
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
}

async function measure(durability: 'sync' | 'relaxed'): Promise<{ measured: readonly Measurement[]; memoryMiB: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-'));
  const server = await ServerProcess.start({ folder, durability, rootPassword: PASSWORD, settings: SETTINGS });
  try {
    const target: Target = { url: server.url, token: await login(server.url), user: 'root', password: PASSWORD, seconds };
    const connection = await HttpConnection.open(server.url);
    await connection.post('/v1/api/sql', JSON.stringify({ sql: 'CREATE NAMESPACE bench' }), target.token);
    connection.close();
    const measured = [
      await insertOne(target, 1),
      await insertOne(target, 64),
      await insertBatch(target),
      ...(await selects(target)),
      ...(await commitToCallback(target)),
    ];
    return { measured, memoryMiB: residentMiB(server.pid) };
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resident memory of a process; NaN where the system does not tell. */
function residentMiB(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1024);
}

function print(title: string, measured: readonly Measurement[]): void {
  console.log(`\n### ${title}\n\n| case | p50 ms | p99 ms | per second | samples |\n|---|---|---|---|---|`);
  for (const { name, p50Millis, p99Millis, perSecond, samples } of measured) {
    console.log(`| ${name} | ${p50Millis.toFixed(3)} | ${p99Millis.toFixed(3)} | ${Math.round(perSecond)} | ${samples} |`);
  }
}

console.log(`Node ${process.version}, ${cpus().length} cores shared with the load generator, ${seconds} s a case`);
print('empty handler of the same HTTP server', await floor());
for (const mode of modes) {
  const { measured, memoryMiB } = await measure(mode);
  print(`durability ${mode}; server resident at the end: ${memoryMiB} MiB`, measured);
}
