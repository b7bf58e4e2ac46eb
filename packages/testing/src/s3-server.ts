import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemTimers } from '@kalamdb/protocol';

/** The variable that names the program of the S3 server: versitygw. */
const PROGRAM_VARIABLE = 'KALAMDB_TEST_S3_SERVER';
/** Milliseconds the server may take until it serves. */
const READY_MILLIS_MAX = 15_000;
const LOOK_EVERY_MILLIS = 20;
/** How often another port is tried when somebody was quicker. */
const STARTS_MAX = 3;

/** A real S3 server as a process of its own, on a loopback port, that keeps its objects in a temporary folder. Whoever starts one stops it. */
export class S3Server {
  readonly port: number;
  readonly accessKeyId: string = 'test-access-key';
  readonly secretAccessKey: string = 'test-secret-which-nobody-may-see';
  readonly region: string = 'us-east-1';
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, port: number, folder: string) {
    this.#child = child;
    this.port = port;
    this.#folder = folder;
  }

  /** The server's program; `undefined` where `KALAMDB_TEST_S3_SERVER` names none. */
  static program(): string | undefined {
    const path = process.env[PROGRAM_VARIABLE];
    return path !== undefined && existsSync(path) ? path : undefined;
  }

  /** Starts a server with these buckets; resolves when it serves. */
  static async start(buckets: readonly string[] = ['bucket']): Promise<S3Server> {
    const program = S3Server.program();
    if (program === undefined) throw new Error(`${PROGRAM_VARIABLE} names no program`);
    const folder = mkdtempSync(join(tmpdir(), 'kalamdb-s3-'));
    for (const bucket of buckets) mkdirSync(join(folder, 'objects', bucket), { recursive: true });
    mkdirSync(join(folder, 'metadata'));
    for (let attempt = 1; attempt <= STARTS_MAX; attempt += 1) {
      const port = await freePort();
      const server = new S3Server(spawnServer(program, folder, port), port, folder);
      if (await server.#serves()) return server;
      await server.#end();
    }
    rmSync(folder, { recursive: true, force: true });
    throw new Error('the S3 server does not serve');
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** CREDENTIALS of a storage, as JSON. */
  get credentials(): string {
    return JSON.stringify({ access_key_id: this.accessKeyId, secret_access_key: this.secretAccessKey });
  }

  /** CONFIG of a storage, as JSON. */
  get config(): string {
    return JSON.stringify({ endpoint: this.endpoint, region: this.region });
  }

  /** Where the server keeps a bucket's objects. */
  bucketPath(bucket: string): string {
    return join(this.#folder, 'objects', bucket);
  }

  /** Ends the process and removes what it kept. */
  async stop(): Promise<void> {
    await this.#end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #serves(): Promise<boolean> {
    for (let waited = 0; waited < READY_MILLIS_MAX && this.#child.exitCode === null; waited += LOOK_EVERY_MILLIS) {
      if (await answers(this.port)) return true;
      await new Promise<void>((resolve) => {
        systemTimers.after(LOOK_EVERY_MILLIS, resolve, { keepAlive: true });
      });
    }
    return false;
  }
}

function spawnServer(program: string, folder: string, port: number): ChildProcess {
  const environment = {
    PATH: process.env['PATH'],
    ROOT_ACCESS_KEY_ID: 'test-access-key',
    ROOT_SECRET_ACCESS_KEY: 'test-secret-which-nobody-may-see',
  };
  const options = ['--port', `127.0.0.1:${port}`, '--region', 'us-east-1', '--quiet', '--keep-alive'];
  // Beside the objects: not every file system that tests run on has extended attributes.
  const backend = ['posix', '--sidecar', join(folder, 'metadata'), join(folder, 'objects')];
  return spawn(program, [...options, ...backend], { env: environment, stdio: 'ignore' });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (isThere: boolean) => (): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', tell(true));
    socket.once('error', tell(false));
  });
}
