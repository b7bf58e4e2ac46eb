import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const DOCS_URL = 'http://127.0.0.1:8080';
const DOCS_PASSWORD = 'difference-2';
const RUN_TIMEOUT_MILLIS = 20_000;
const COMPILER_FLAGS = ['--strict', '--noUncheckedIndexedAccess', '--noPropertyAccessFromIndexSignature', '--skipLibCheck'];

/** The program of docs/client.md: its examples, one after another. */
function program(): string {
  const page = readFileSync(join(root, 'docs/client.md'), 'utf8');
  return [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) => code).join('\n');
}

describe('the reference of the client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-client-docs-'));
  // below e2e, so that the import of the client is resolved as an application's would be
  const place = join(root, 'e2e/dist', `client-docs-${process.pid}`);
  let server: ServerProcess;

  beforeAll(async () => {
    server = await ServerProcess.start({ folder, durability: 'sync', rootPassword: DOCS_PASSWORD });
  });

  afterAll(async () => {
    await server.stop();
    for (const path of [folder, place]) rmSync(path, { recursive: true, force: true });
  });

  it('compiles as strictly as the sources, and its examples print what they say', () => {
    const source = program();
    const expected = [...source.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
    expect(expected.length).toBeGreaterThan(4);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'program.ts'), source.replaceAll(DOCS_URL, server.url));
    const compiler = join(root, 'node_modules/typescript/bin/tsc');
    const kind = ['--ignoreConfig', '--target', 'es2023', '--module', 'nodenext', '--types', 'node', ...COMPILER_FLAGS];
    const compiled = spawnSync(process.execPath, [compiler, ...kind, 'program.ts'], { cwd: place, encoding: 'utf8' });
    expect(compiled.stdout, compiled.stderr).toBe('');
    const run = spawnSync(process.execPath, ['program.js'], { cwd: place, encoding: 'utf8', timeout: RUN_TIMEOUT_MILLIS });
    expect(run.stderr).toBe('');
    expect(run.stdout.trimEnd().split('\n')).toEqual(expected);
    expect(run.status).toBe(0);
  }, 60_000);
});
