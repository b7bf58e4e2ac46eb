import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JudgeOutcome } from './judge-outcome.ts';

/** Stands for NULL in what psql prints. */
const NULL_TEXT = '\u0001';
const FIELD_END = '\u0002';
const ROW_END = '\u0003';
const QUERY_END = '\u0004';
/** Bytes that psql may print for one table's queries. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** A PostgreSQL server of this machine's packages on a folder of its own, reached through psql. Whoever starts one stops it. */
export class PostgresServer {
  readonly #folder: string;
  readonly #binaries: string;

  private constructor(folder: string, binaries: string) {
    this.#folder = folder;
    this.#binaries = binaries;
  }

  /** Throws when there is no PostgreSQL in the folder of the binaries. A superuser of the system needs the account `postgres`. */
  static start(binaries: string): PostgresServer {
    const folder = mkdtempSync(join(tmpdir(), 'kalamdb-postgres-'));
    chmodSync(folder, 0o777);
    const server = new PostgresServer(folder, binaries);
    server.#run('initdb', ['-D', `${folder}/data`, '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8', '-U', 'judge']);
    const options = `-c listen_addresses='' -c unix_socket_directories='${folder}' -c fsync=off`;
    server.#run('pg_ctl', ['-D', `${folder}/data`, '-w', '-o', options, '-l', `${folder}/log`, 'start']);
    return server;
  }

  /** Runs statements in one session; the outcome of each. */
  run(statements: readonly string[]): readonly JudgeOutcome[] {
    const head = `\\set QUIET on\n\\pset format unaligned\n\\pset tuples_only on\n\\pset null '${NULL_TEXT}'\n\\pset fieldsep '${FIELD_END}'\n\\pset recordsep '${ROW_END}'\nSET timezone = 'UTC';\n`;
    const input = head + statements.map((sql) => `${sql};\n\\echo '${QUERY_END}' :SQLSTATE :ROW_COUNT '${QUERY_END}'\n`).join('');
    const output = execFileSync(join(this.#binaries, 'psql'), ['-X', '-h', this.#folder, '-U', 'judge', '-d', 'postgres'], {
      input,
      encoding: 'utf8',
      maxBuffer: OUTPUT_BYTES_MAX,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const pieces = output.split(QUERY_END);
    return statements.map((_, index) => {
      const [state = '', count = '0'] = (pieces[index * 2 + 1] ?? '').trim().split(' ');
      if (state !== '00000') return { kind: 'error', state };
      const text = (pieces[index * 2] ?? '').replace(/^\n/, '').replace(/\n$/, '');
      const rows = text.split(ROW_END).slice(0, Number(count));
      return { kind: 'rows', rows: rows.map((row) => row.split(FIELD_END).map((cell) => (cell === NULL_TEXT ? null : cell))) };
    });
  }

  stop(): void {
    this.#run('pg_ctl', ['-D', `${this.#folder}/data`, '-m', 'immediate', 'stop']);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #run(program: string, args: readonly string[]): void {
    const path = join(this.#binaries, program);
    const isRoot = process.getuid?.() === 0;
    const [command, list] = isRoot ? ['runuser', ['-u', 'postgres', '--', path, ...args]] : [path, [...args]];
    execFileSync(command, list, { stdio: 'ignore', cwd: this.#folder });
  }
}
