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

/** The program of a page: its examples, one after another. */
function program(page: string, language: string): string {
  const text = readFileSync(join(root, 'docs', page), 'utf8');
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, code = '']) => code).join('\n');
}

// below e2e, so that the imports are resolved as an application's would be
const place = join(root, 'e2e/dist', `client-docs-${process.pid}`);
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** Compiles a program and writes what comes out beside it; what the compiler objects to. */
function compile(name: string, source: string, ...flags: readonly string[]): string {
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, name), source);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const kind = ['--ignoreConfig', '--target', 'es2023', '--module', 'nodenext', ...COMPILER_FLAGS, ...flags];
  const compiled = spawnSync(process.execPath, [compiler, ...kind, name], { cwd: place, encoding: 'utf8' });
  return compiled.stdout + compiled.stderr;
}

describe('the reference of the React hooks', () => {
  it('compiles as strictly as the sources', () => {
    const source = program('react.md', 'tsx');
    expect(source).toContain('useSuspenseLiveQuery(');
    expect(compile('react.tsx', source, '--jsx', 'react-jsx', '--types', 'react', '--lib', 'es2023,dom')).toBe('');
  }, 60_000);
});

describe('the reference of the client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-client-docs-'));
  let server: ServerProcess;

  beforeAll(async () => {
    server = await ServerProcess.start({ folder, durability: 'sync', rootPassword: DOCS_PASSWORD });
  });

  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('compiles as strictly as the sources, and its examples print what they say', () => {
    const source = program('client.md', 'ts');
    const expected = [...source.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text);
    expect(expected.length).toBeGreaterThan(4);
    expect(compile('program.ts', source.replaceAll(DOCS_URL, server.url), '--types', 'node')).toBe('');
    const run = spawnSync(process.execPath, ['program.js'], { cwd: place, encoding: 'utf8', timeout: RUN_TIMEOUT_MILLIS });
    expect(run.stderr).toBe('');
    expect(run.stdout.trimEnd().split('\n')).toEqual(expected);
    expect(run.status).toBe(0);
  }, 60_000);
});
