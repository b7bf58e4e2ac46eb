import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom, ServerProcess } from '@kalamdb/testing';
import { Api } from '../sql-api.ts';
import { FRAME_FAMILIES } from './frame-families.ts';
import type { Family, MalformedCase } from './malformed-case.ts';
import { MESSAGE_FAMILIES } from './message-families.ts';
import { REQUEST_FAMILIES } from './request-families.ts';
import { WorkerScene } from './scene.ts';
import { frameBytes, WebSocketPeer } from './web-socket-peer.ts';

const PASSWORD = 'malformed-only-password';
/**
 * Every limit on rates is out of the way: what is tried here is what is done with what gets through. Connections that are kept from case
 * to case may be silent meanwhile, and those that only time ends are ended soon.
 */
const SETTINGS = `
[rate_limit]
max_queries_per_sec = 1000000
max_messages_per_sec = 1000000
max_auth_requests_per_ip_per_sec = 1000000
enable_connection_protection = false
[websocket]
client_timeout_secs = 300
[performance]
keepalive_timeout = 2
[auth]
bcrypt_cost = 4
`;
/** Cases at a time. */
const WORKERS = 16;
/** A case that is not over by then has failed. */
const CASE_MILLIS_MAX = 20_000;
/** Share of the cases after which memory is measured first: caches and code have their size then. */
const WARM_UP_SHARE = 0.3;
/** What memory may have grown by from then to the end, in bytes. */
const GROWTH_BYTES_MAX = { heap: 12 * 1024 * 1024, external: 12 * 1024 * 1024, resident: 96 * 1024 * 1024 } as const;
/** Time in which connections that are cut off are gone. */
const SETTLE_MILLIS = 6000;
/** Failures that are kept for the report. */
const FAILURES_KEPT_MAX = 20;

const FAMILIES: readonly Family[] = [...MESSAGE_FAMILIES, ...FRAME_FAMILIES, ...REQUEST_FAMILIES];

/** Which cases to play. */
export interface MalformedRun {
  readonly seed: number;
  readonly count: number;
  /** Only the case of this number, to see it again. */
  readonly only?: number | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** What came of them. */
export interface MalformedReport {
  /** Cases by family and outcome. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Cases that came out wrong, and whatever else did. */
  readonly failures: readonly string[];
  /** Before, at the first measurement and at the end, in bytes. */
  readonly memory: readonly Memory[];
}

/** Memory of the server after a collection, in bytes. */
export interface Memory {
  readonly heapUsed: number;
  readonly external: number;
  readonly arrayBuffers: number;
  readonly rss: number;
}

/** Plays malformed requests and frames against a server of its own. A number and the seed determine a case. */
export async function runMalformed(options: MalformedRun): Promise<MalformedReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-malformed-'));
  const memoryFile = join(folder, 'memory.json');
  const probe = new URL('memory-probe.js', new URL('../../dist/malformed/', import.meta.url)).href;
  const server = await ServerProcess.start({
    folder,
    rootPassword: PASSWORD,
    settings: SETTINGS,
    nodeArguments: ['--expose-gc', '--import', probe],
  });
  try {
    return await new Run(server, memoryFile, options).play();
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Run {
  readonly #server: ServerProcess;
  readonly #memoryFile: string;
  readonly #options: MalformedRun;
  readonly #api = new Api();
  readonly #outcomes = new Map<string, number>();
  readonly #failures: string[] = [];
  #next = 0;
  #done = 0;

  constructor(server: ServerProcess, memoryFile: string, options: MalformedRun) {
    this.#server = server;
    this.#memoryFile = memoryFile;
    this.#options = options;
  }

  async play(): Promise<MalformedReport> {
    const { count, only } = this.#options;
    this.#api.url = this.#server.url;
    await this.#api.login('root', PASSWORD);
    await this.#api.sql('root', 'CREATE NAMESPACE app; CREATE USER TABLE app.notes (id INT PRIMARY KEY, body TEXT)');
    const memory = [await this.#memory()];
    if (only !== undefined) await this.#playOne(new WorkerScene(this.#server.port, this.#api.token('root')), only);
    else {
      for (const end of [Math.floor(count * WARM_UP_SHARE), count]) {
        await this.#playUpTo(end);
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MILLIS));
        memory.push(await this.#memory());
      }
      this.#checkGrowth(memory);
    }
    await this.#checkService();
    await this.#checkStop();
    return { outcomes: this.#outcomes, failures: this.#failures, memory };
  }

  async #playUpTo(end: number): Promise<void> {
    await Promise.all(
      Array.from({ length: WORKERS }, async () => {
        const scene = new WorkerScene(this.#server.port, this.#api.token('root'));
        while (this.#next < end && this.#failures.length < FAILURES_KEPT_MAX) {
          await this.#playOne(scene, this.#next++);
          if (++this.#done % 10_000 === 0) this.#options.onProgress?.(this.#done);
        }
        scene.close();
      }),
    );
  }

  async #playOne(scene: WorkerScene, number: number): Promise<void> {
    const one = caseOf(this.#options.seed, number);
    const outcome = await inTime(one.play(scene), CASE_MILLIS_MAX);
    const key = `${one.name} -> ${outcome}`;
    this.#outcomes.set(key, (this.#outcomes.get(key) ?? 0) + 1);
    if (!one.allowed.test(outcome)) this.#failures.push(`case ${number} of seed ${this.#options.seed}: ${key}, not ${one.allowed}`);
  }

  async #memory(): Promise<Memory> {
    rmSync(this.#memoryFile, { force: true });
    process.kill(this.#server.pid, 'SIGUSR2');
    while (!existsSync(this.#memoryFile)) await new Promise((resolve) => setTimeout(resolve, 20));
    return JSON.parse(readFileSync(this.#memoryFile, 'utf8')) as Memory;
  }

  #checkGrowth([, early, late]: readonly Memory[]): void {
    if (early === undefined || late === undefined) return;
    const growth = { heap: late.heapUsed - early.heapUsed, external: late.external - early.external, resident: late.rss - early.rss };
    for (const [what, limit] of Object.entries(GROWTH_BYTES_MAX)) {
      const grown = growth[what as keyof typeof growth];
      if (grown > limit) this.#failures.push(`${what} memory has grown by ${Math.round(grown / 1024)} KiB`);
    }
  }

  /** Whether statements and subscriptions still work. */
  async #checkService(): Promise<void> {
    const peer = await WebSocketPeer.open({ port: this.#server.port, token: this.#api.token('root') });
    const message = '{"type":"subscribe","subscription":{"id":"after","sql":"SELECT * FROM app.notes","options":null}}';
    peer.write(frameBytes({ opcode: 1, payload: Buffer.from(message) }));
    const ack = await inTime(peer.next(), CASE_MILLIS_MAX);
    await this.#api.sql('root', "INSERT INTO app.notes VALUES (1, 'still here')");
    const change = await inTime(peer.next(), CASE_MILLIS_MAX);
    peer.destroy();
    if (!JSON.stringify([ack, change]).includes('still here'))
      this.#failures.push(`it does not serve any more: ${JSON.stringify([ack, change])}`);
  }

  async #checkStop(): Promise<void> {
    const code = await this.#server.stop();
    if (code !== 0) this.#failures.push(`it ended with ${code}`);
  }
}

/** The case that a number names. */
function caseOf(seed: number, number: number): MalformedCase {
  const random = new SeededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  let left = random.uniform() * FAMILIES.reduce((sum, { weight }) => sum + weight, 0);
  const family = FAMILIES.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  return (family ?? random.pick(FAMILIES)).make(random);
}

async function inTime<T>(work: Promise<T>, millisMax: number): Promise<T | string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('nothing'), millisMax);
  });
  try {
    return await Promise.race([work, late]);
  } catch (error) {
    return `failure: ${String(error)}`;
  } finally {
    clearTimeout(timer);
  }
}
