import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '@kalamdb/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const README_URL = 'http://127.0.0.1:8080';
const LINE_TIMEOUT_MILLIS = 10_000;

/** The code blocks of the README's tour, in order. */
function tourBlocks(): readonly { readonly language: string; readonly code: string }[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const tour = readme.split('## A five-minute tour')[1]?.split('\n## ')[0] ?? '';
  return [...tour.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language = '', code = '']) => ({ language, code: code.trim() }));
}

/** The words of a shell command: quotes, joined pieces, and `$NAME` inside double quotes. Enough for the commands of the tour. */
function shellWords(command: string, variables: ReadonlyMap<string, string>): readonly string[] {
  const words: string[] = [];
  const pieces = /'([^']*)'|"([^"]*)"|([^\s'"]+)|(\s+)/g;
  let word: string | undefined;
  for (const [, single, double, bare, space] of command.matchAll(pieces)) {
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + (single ?? bare ?? (double ?? '').replace(/\$(\w+)/g, (_all, name: string) => variables.get(name) ?? ''));
    }
  }
  return word === undefined ? words : [...words, word];
}

/** Lines that a child prints, each waited for. */
class Lines {
  #received: string[] = [];
  #wake = (): void => undefined;

  constructor(child: ChildProcess) {
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      this.#received.push(...lines);
      this.#wake();
    });
  }

  async until(wanted: string): Promise<void> {
    const end = Date.now() + LINE_TIMEOUT_MILLIS;
    while (!this.#received.includes(wanted)) {
      if (Date.now() > end) throw new Error(`'${wanted}' was not printed, but ${JSON.stringify(this.#received)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

describe("the README's tour", () => {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-tour-'));
  const scripts = join(root, 'e2e/dist');
  const script = join(scripts, `tour-${process.pid}.mjs`);
  const variables = new Map<string, string>();
  let server: ServerProcess;
  let live: ChildProcess | undefined;

  beforeAll(async () => {
    server = await ServerProcess.start({ folder, durability: 'sync' });
  });

  afterAll(async () => {
    live?.kill();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
    rmSync(script, { force: true });
  });

  /** Carries out one curl command and keeps the token when the command does. */
  async function curl(command: string): Promise<string> {
    const [, variable, inner] = /^(\w+)=\$\((.*?) \|.*\)$/.exec(command) ?? [undefined, undefined, command];
    const [program, url = '', ...rest] = shellWords(inner ?? command, variables);
    expect(program).toBe('curl');
    const headers: Record<string, string> = {};
    let body: string | undefined;
    for (let i = 0; i < rest.length; i += 2) {
      const value = rest[i + 1] ?? '';
      if (rest[i] === '-H') headers[value.slice(0, value.indexOf(':'))] = value.slice(value.indexOf(':') + 1).trim();
      else if (rest[i] === '-d') body = value;
      else throw new Error(`the tour uses an option that is not known here: ${rest[i]}`);
    }
    const answer = await fetch(url.replace(README_URL, server.url), { method: 'POST', headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.text();
    expect(answer.status, text).toBe(200);
    if (variable !== undefined) variables.set(variable, /"access_token":"([^"]*)"/.exec(text)?.[1] ?? '');
    return text;
  }

  it('works as written, and goes on after a kill', async () => {
    const [setup, login, create, insert, select, program, write, ...none] = tourBlocks();
    expect(none).toEqual([]);
    expect(await curl(setup?.code ?? '')).toContain("DBA user 'ada' created");
    expect(await curl(login?.code ?? '')).toContain('refresh_token');
    expect(await curl(create?.code ?? '')).toContain('created successfully');
    expect(await curl(insert?.code ?? '')).toContain('Inserted 1 row(s)');
    expect(await curl(select?.code ?? '')).toContain('[["1","hello"]]');

    expect(program?.language).toBe('js');
    mkdirSync(scripts, { recursive: true });
    writeFileSync(script, (program?.code ?? '').replace(README_URL, server.url));
    live = spawn(process.execPath, [script], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = new Lines(live);
    await lines.until('1: hello');
    await curl(write?.code ?? '');
    await lines.until('1: hello | 2: it stays open');

    const { port } = server;
    await server.kill();
    server = await ServerProcess.start({ folder, durability: 'sync', port });
    expect(await curl(select?.code ?? '')).toContain('[["1","hello"]]');
    await curl((write?.code ?? '').replace('(2,', '(3,'));
    await lines.until('1: hello | 2: it stays open | 3: it stays open');
    live.kill();
    await once(live, 'exit');
    live = undefined;
  }, 60_000);
});
