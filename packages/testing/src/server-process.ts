import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Milliseconds a server may take until it serves. */
const READY_TIMEOUT_MILLIS = 20_000;
/** Milliseconds a server may take to drain before it is killed. */
const STOP_TIMEOUT_MILLIS = 15_000;
/** Characters of a server's output that are kept for error messages. */
const OUTPUT_CHARS_MAX = 64 * 1024;

/** How a server process is started. */
export interface ServerProcessOptions {
  /** Folder of the settings file and, unless `settings` say otherwise, of the data (`data` below it). It must exist. */
  readonly folder: string;
  readonly durability?: 'sync' | 'relaxed' | undefined;
  /** `undefined`: the server wants its first-run setup. */
  readonly rootPassword?: string | undefined;
  /** 0: any free port. */
  readonly port?: number | undefined;
  /** Further sections, as TOML. */
  readonly settings?: string | undefined;
  /** Ends the process at once, as a crash does, if it does not serve yet; the start rejects then. */
  readonly signal?: AbortSignal | undefined;
}

/** The product's own server as a process of its own, on a loopback port. Whoever starts one stops it. */
export class ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** Starts a server and resolves when it serves; rejects with its output when it does not. */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const config = join(options.folder, 'server.toml');
    writeFileSync(config, settingsOf(options));
    const main = join(import.meta.dirname, '../../server/dist/main.cjs');
    const env = { ...process.env };
    if (options.rootPassword !== undefined) env['KALAMDB_ROOT_PASSWORD'] = options.rootPassword;
    const child = spawn(process.execPath, [main, config], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'exit');
    const crash = (): boolean => child.kill('SIGKILL');
    options.signal?.addEventListener('abort', crash, { once: true });
    if (options.signal?.aborted === true) crash();
    try {
      return new ServerProcess(child, await readyUrl(child));
    } catch (error) {
      crash();
      await ended;
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', crash);
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends it at once, as a crash does. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Lets it drain. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MILLIS);
    await ended;
    clearTimeout(timer);
  }
}

function settingsOf({ folder, durability = 'relaxed', port = 0, settings = '' }: ServerProcessOptions): string {
  return `[server]
host = "127.0.0.1"
port = ${port}
[storage]
data_path = ${JSON.stringify(join(folder, 'data'))}
durability = "${durability}"
[logging]
level = "warn"
${settings}
`;
}

async function readyUrl(child: ChildProcess): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(`the server ${what}:\n${output}`));
    };
    const timer = setTimeout(() => fail('was not ready in time'), READY_TIMEOUT_MILLIS);
    child.once('exit', (code) => fail(`ended with code ${code}`));
    child.stderr?.on('data', (chunk: Buffer) => {
      output = (output + String(chunk)).slice(-OUTPUT_CHARS_MAX);
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      output = (output + String(chunk)).slice(-OUTPUT_CHARS_MAX);
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output);
      if (found === null) return;
      clearTimeout(timer);
      resolve(found[0]);
    });
  });
}
