import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Milliseconds a server may take until it serves. */
const READY_TIMEOUT_MILLIS = 20_000;
/** Milliseconds a server may take to drain before it is killed. */
const STOP_TIMEOUT_MILLIS = 15_000;
/** What `npm start` sets too. */
const START_ENVIRONMENT = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576' };
/** Characters of a server's output that are kept. */
const OUTPUT_CHARS_MAX = 4 * 1024 * 1024;

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
  /** Variables beside those of this process. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Arguments of the process before the program's own, for example `--import` of a module. */
  readonly nodeArguments?: readonly string[] | undefined;
  /** Ends the process at once, as a crash does, if it does not serve yet; the start rejects then. */
  readonly signal?: AbortSignal | undefined;
}

/** The product's own server as a process of its own, on a loopback port. Whoever starts one stops it. */
export class ServerProcess {
  readonly url: string;
  readonly port: number;
  /** Resolves when the process has ended: its exit code, or `undefined` when a signal ended it. */
  readonly ended: Promise<number | undefined>;
  readonly #child: ChildProcess;
  readonly #output: { text: string };

  private constructor(child: ChildProcess, url: string, output: { text: string }) {
    this.#child = child;
    this.#output = output;
    this.ended = once(child, 'exit').then(([code]: (number | null)[]) => code ?? undefined);
    this.url = url;
    this.port = Number(new URL(url).port);
  }

  /** Starts a server and resolves when it serves; rejects with its output when it does not. */
  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const config = join(options.folder, 'server.toml');
    writeFileSync(config, settingsOf(options));
    const main = join(import.meta.dirname, '../../server/dist/main.cjs');
    const env: NodeJS.ProcessEnv = { ...START_ENVIRONMENT, ...process.env, ...options.environment };
    if (options.rootPassword !== undefined) env['KALAMDB_ROOT_PASSWORD'] = options.rootPassword;
    const child = spawn(process.execPath, [...(options.nodeArguments ?? []), main, config], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'exit');
    const crash = (): boolean => child.kill('SIGKILL');
    options.signal?.addEventListener('abort', crash, { once: true });
    if (options.signal?.aborted === true) crash();
    try {
      const output = { text: '' };
      return new ServerProcess(child, await readyUrl(child, output), output);
    } catch (error) {
      crash();
      await ended;
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', crash);
    }
  }

  /** What it has written to both of its outputs, the newest 4 Mi characters. */
  get output(): string {
    return this.#output.text;
  }

  /** Sends a signal and does not wait for what comes of it. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends it at once, as a crash does. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Lets it drain; answers its exit code, or `undefined` when it had to be killed. */
  async stop(): Promise<number | undefined> {
    await this.#end('SIGTERM');
    return this.#child.exitCode ?? undefined;
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

async function readyUrl(child: ChildProcess, output: { text: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(timer);
      reject(new Error(`the server ${what}:\n${output.text}`));
    };
    const timer = setTimeout(() => fail('was not ready in time'), READY_TIMEOUT_MILLIS);
    child.once('exit', (code) => fail(`ended with code ${code}`));
    child.stderr?.on('data', (chunk: Buffer) => {
      output.text = (output.text + String(chunk)).slice(-OUTPUT_CHARS_MAX);
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      output.text = (output.text + String(chunk)).slice(-OUTPUT_CHARS_MAX);
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(output.text);
      if (found === null) return;
      clearTimeout(timer);
      resolve(found[0]);
    });
  });
}
