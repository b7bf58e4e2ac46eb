import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { Pool } from 'pg';

/** Connections to the peer, about what it takes easily. */
export const PEER_CONNECTIONS = 50;

/** A PostgreSQL server of this machine on a folder of its own, for the same queries over the same rows. */
export interface PostgresPeer {
  /** {@link PEER_CONNECTIONS} connections over a socket of the file system; further queries wait for one. `stop` closes them. */
  readonly pool: Pool;
  /** Where further clients connect to, as user `bench` to the database `postgres`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** Starts one; `undefined` when the machine has no PostgreSQL. A superuser of the system needs the account `postgres`. */
export function startPostgres(): PostgresPeer | undefined {
  const binaries = postgresBinaries();
  if (binaries === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-bench-postgres-'));
  chmodSync(folder, 0o777);
  const run = (program: string, args: readonly string[]): void => {
    const path = join(binaries, program);
    const [command, list] = process.getuid?.() === 0 ? ['runuser', ['-u', 'postgres', '--', path, ...args]] : [path, [...args]];
    execFileSync(command, list, { stdio: 'ignore', cwd: folder });
  };
  run('initdb', ['-D', `${folder}/data`, '--no-sync', '-E', 'UTF8', '--locale=C.UTF-8', '-U', 'bench']);
  const options = `-c listen_addresses='' -c unix_socket_directories='${folder}' -c max_connections=100 -c shared_buffers=256MB`;
  run('pg_ctl', ['-D', `${folder}/data`, '-w', '-o', options, '-l', `${folder}/log`, 'start']);
  const pool = new Pool({ host: folder, user: 'bench', database: 'postgres', max: PEER_CONNECTIONS });
  return {
    pool,
    host: folder,
    stop: async () => {
      await pool.end();
      run('pg_ctl', ['-D', `${folder}/data`, '-m', 'smart', '-w', 'stop']);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The folder of PostgreSQL's own programs: where `initdb` of the search path really lies. */
function postgresBinaries(): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).find((folder) => existsSync(join(folder, 'initdb')));
  return found === undefined ? undefined : dirname(realpathSync(join(found, 'initdb')));
}
