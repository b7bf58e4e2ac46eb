import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '@kalamdb/engine';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommandLine, type Terminal } from './command-line.ts';

let folder: string;
let stop: () => void;
let output: string;
let ready: Promise<void>;
let terminal: Terminal;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kalamdb-server-'));
  output = '';
  ready = new Promise((resolve) => {
    terminal = {
      environment: { KALAMDB_SERVER_PORT: '0', KALAMDB_DATA_DIR: join(folder, 'data'), KALAMDB_LOG_LEVEL: 'silent' },
      out(text) {
        output += text;
      },
      err(text) {
        output += text;
      },
      onStop(callback) {
        stop = callback;
        resolve();
      },
      onCrash: () => undefined,
      exit: (code) => {
        throw new Error(`exit ${code}`);
      },
    };
  });
});

afterEach(() => rm(folder, { recursive: true }));

describe('the command line', () => {
  test('starts, says what to do next, and ends with 0 when it is told to', async () => {
    const ended = runCommandLine([], terminal);
    await ready;
    expect(output).toMatch(/URL {9}http:\/\/127\.0\.0\.1:\d+/);
    expect(output).toContain(join(folder, 'data'));
    expect(output).toContain('Settings    no file');
    expect(output).toContain('Durability  sync');
    expect(output).toMatch(/curl -X POST http:\/\/127\.0\.0\.1:\d+\/v1\/api\/auth\/setup/);
    stop();
    expect(await ended).toBe(0);
    expect(output).toContain('Stopped.');
  });

  test('a second server on the same directory is refused with a clear text', async () => {
    const first = runCommandLine([], terminal);
    await ready;
    expect(await runCommandLine([], terminal)).toBe(1);
    expect(output).toContain('is in use by another server');
    expect(output).not.toContain('at ');
    stop();
    expect(await first).toBe(0);
  });

  test('--verify-data reads all data and says what is damaged', async () => {
    const ended = runCommandLine([], terminal);
    await ready;
    expect(await runCommandLine(['--verify-data'], terminal)).toBe(1);
    expect(output).toContain('is in use by another server');
    stop();
    expect(await ended).toBe(0);
    expect(await runCommandLine(['--verify-data'], terminal)).toBe(0);
    expect(output).toMatch(/hot tier: every page and row is as it was written, up to commit \d+\ncommit log: /);
    const file = join(folder, 'data', 'hot', 'data.mdb');
    const content = await readFile(file);
    content.fill(0xff, content.length - 3_000);
    await writeFile(file, content);
    expect(await runCommandLine(['--verify-data'], terminal)).toBe(1);
    expect(output).toMatch(/hot tier: Damaged data in .*data\.mdb: page \d+.*\nRestore from a backup/);
  });

  test('--restore makes a data directory from a backup, and refuses one that has data', async () => {
    const folderOfBackup = join(folder, 'backup');
    expect(await runCommandLine(['--restore', folderOfBackup], terminal)).toBe(1);
    expect(output).toContain(`Backup directory '${folderOfBackup}' not found`);
    await mkdir(folderOfBackup);
    expect(await runCommandLine(['--restore', folderOfBackup], terminal)).toBe(1);
    expect(output).toContain(`There is no backup of a whole database in '${folderOfBackup}'`);
    const database = await openDatabase({ directory: join(folder, 'source'), durability: 'sync' });
    await database.session({ userId: 'root', role: 'system' }).execute(`CREATE NAMESPACE kept; BACKUP DATABASE TO '${folderOfBackup}'`, []);
    while (!existsSync(join(folderOfBackup, 'manifest.json'))) await new Promise((resolve) => setTimeout(resolve, 10));
    await database.close();
    expect(await runCommandLine(['--restore', folderOfBackup], terminal)).toBe(0);
    expect(output).toMatch(/Restored commit \d+ into .*: \d+ hot rows, 0 segments\./);
    expect(await runCommandLine(['--restore', folderOfBackup], terminal)).toBe(1);
    expect(output).toContain('holds data already');
    expect(await runCommandLine(['--verify-data'], terminal)).toBe(0);
    const restored = await openDatabase({ directory: join(folder, 'data'), durability: 'sync' });
    const session = restored.session({ userId: 'root', role: 'system' });
    const [found] = await session.execute("SELECT namespace_id FROM system.namespaces WHERE namespace_id = 'kept'", []);
    expect(found).toMatchObject({ rows: [['kept']] });
    await restored.close();
  });

  test('flags and --set win over the environment; unknown keys of the file are said', async () => {
    const file = join(folder, 'my.toml');
    await writeFile(file, '[server]\nprot = 1\n[auth]\nroot_password = "root-password-1"\n');
    const ended = runCommandLine([file, '--durability', 'relaxed', '--set', 'auth.bcrypt_cost=4'], terminal);
    await ready;
    expect(output).toContain("did you mean 'server.port'?");
    expect(output).toContain('Durability  relaxed');
    expect(output).toContain(`Settings    ${file}`);
    expect(output).toContain('/v1/api/auth/login');
    expect(output).not.toContain('root-password-1');
    stop();
    await ended;
  });

  test.each([
    [['--port', 'x'], 'server.port (from the command line) must be an integer from 0 to 65535'],
    [['--bogus'], "unknown option '--bogus'"],
    [['--set', 'server.prot=1'], "did you mean 'server.port'?"],
    [['no-such-file.toml'], 'no-such-file.toml cannot be read (ENOENT)'],
  ])('%s is refused with 1 and one clear text', async (args, text) => {
    expect(await runCommandLine(args, terminal)).toBe(1);
    expect(output).toContain(text);
    expect(output.split(text)).toHaveLength(2);
    expect(output).not.toMatch(/^\s+at /m);
  });

  test('--check says everything that is wrong and starts nothing', async () => {
    expect(await runCommandLine(['--check'], terminal)).toBe(0);
    expect(output).toBe('The configuration is valid.\n');
    output = '';
    const args = ['--check', '--port', 'x', '--durability', 'maybe', '--set', 'server.prot=1'];
    expect(await runCommandLine(args, terminal)).toBe(1);
    expect(output.match(/^error: /gm)).toHaveLength(3);
    output = '';
    const tls = ['--set', 'server.tls_cert_file=none.pem', '--set', 'server.tls_key_file=none.pem'];
    expect(await runCommandLine(['--check', ...tls], terminal)).toBe(1);
    expect(output).toContain("server.tls_cert_file: 'none.pem' cannot be read (ENOENT)");
    expect(await readdir(folder)).toEqual([]);
  });

  test('--print-config prints what is in force and starts nothing', async () => {
    expect(await runCommandLine(['--print-config', '--set', 'auth.root_password=hunter2hunter2'], terminal)).toBe(0);
    expect(output).toContain('port = 0 # KALAMDB_SERVER_PORT');
    expect(output).toContain('# root_password: set, the command line');
    expect(output).not.toContain('hunter2');
    expect(await readdir(folder)).toEqual([]);
  });

  test('for machines, every line of the output is JSON', async () => {
    const environment = { ...terminal.environment, KALAMDB_LOG_LEVEL: 'info' };
    const ended = runCommandLine(['--log-format', 'json'], { ...terminal, environment });
    await ready;
    stop();
    await ended;
    const lines = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; url?: string });
    expect(lines.map(({ msg }) => msg)).toEqual(['the server is ready', 'the server stops', 'the server has stopped']);
    expect(lines[0]?.url).toMatch(/^http:/);
  });

  test('help names the settings and their environment', async () => {
    expect(await runCommandLine(['--help'], terminal)).toBe(0);
    expect(output).toContain('--data <directory>');
    expect(output).toContain('KALAMDB_DATA_DIR');
  });
});
