import { gunzipSync } from 'node:zlib';
import { unpack } from 'msgpackr';
import { WebSocket } from 'ws';
import type { Receiver } from './access-model.ts';
import type { Markers } from './markers.ts';
import { LEAK_TABLES, LEAK_VIEWS } from './scene.ts';

/** How the frames of a connection are written. */
export type Serialization = 'json' | 'msgpack';

const QUERIES: readonly string[] = [
  ...LEAK_TABLES.flatMap(({ name }) => [
    `SELECT * FROM ${name}`,
    `SELECT id, credentials AS c, txt FROM ${name} WHERE id > 3`,
    `SELECT * FROM ${name} WHERE credentials > 'zqm'`,
    `SELECT * FROM ${name} WHERE CAST(txt AS INT) > 0`,
  ]),
  ...LEAK_VIEWS.map((name) => `SELECT * FROM ${name}`),
  'SELECT * FROM system.users',
  'SELECT * FROM system.schemas',
  'SELECT * FROM leak.nowhere',
];

/** One WebSocket connection that subscribes to everything and has all that it hears looked through. */
export class LiveEars {
  readonly #socket: WebSocket;
  readonly #receiver: Receiver;
  /** What it subscribes to; the last one holds a value of its own, which administrators find in system.live. */
  readonly #queries: readonly string[];
  /** Frames that came. */
  frames = 0;
  #lastSeq = 0n;

  private constructor(socket: WebSocket, receiver: Receiver, markers: Markers) {
    this.#socket = socket;
    this.#receiver = receiver;
    const own = markers.text({ place: { kind: 'administration' }, sender: receiver.name });
    this.#queries = [...QUERIES, `SELECT id FROM leak.u WHERE txt <> '${own}'`];
  }

  /** Connects, authenticates, and subscribes once the server has said yes. */
  static async open(options: {
    readonly url: string;
    readonly token: string;
    readonly receiver: Receiver;
    readonly serialization: Serialization;
    readonly markers: Markers;
  }): Promise<LiveEars> {
    const { url, token, receiver, serialization, markers } = options;
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`);
    const ears = new LiveEars(socket, receiver, markers);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(`${receiver.name} was not let in`)));
      socket.once('open', () =>
        socket.send(JSON.stringify({ type: 'authenticate', method: 'jwt', token, protocol: { serialization, compression: 'gzip' } })),
      );
      socket.on('message', (data: Buffer, isBinary: boolean) => {
        const text = plainText(data, isBinary, serialization);
        ears.#hear(text);
        markers.scan(receiver, `WebSocket, ${serialization}`, text);
        if (text.includes('auth_success')) resolve();
      });
    });
    ears.subscribe('a', '');
    return ears;
  }

  /** Subscribes to every query under ids that begin with `prefix`; `more` is put into the options. */
  subscribe(prefix: string, more: string): void {
    for (const [index, sql] of this.#queries.entries()) {
      const subscription = `{"id":"${prefix}${index}","sql":${JSON.stringify(sql)},"options":{"batch_size":7${more}}}`;
      this.#socket.send(`{"type":"subscribe","subscription":${subscription}}`);
    }
  }

  /** Subscribes anew from a point that it has passed. */
  resume(round: number): void {
    this.subscribe(`r${round}-`, `,"from":${this.#lastSeq}`);
  }

  /** Ends the connection. */
  close(): void {
    this.#socket.terminate();
  }

  get role(): Receiver['role'] {
    return this.#receiver.role;
  }

  #hear(text: string): void {
    this.frames += 1;
    const id = /"subscription_id":"([^"]+)"/.exec(text)?.[1];
    if (text.includes('"has_more":true') && id !== undefined) this.#socket.send(`{"type":"next_batch","subscription_id":"${id}"}`);
    const seq = /"_seq":"?(\d+)/.exec(text)?.[1];
    if (seq !== undefined) this.#lastSeq = BigInt(seq);
  }
}

function plainText(data: Buffer, isBinary: boolean, serialization: Serialization): string {
  if (!isBinary) return data.toString('utf8');
  const plain = data[0] === 0x1f && data[1] === 0x8b ? gunzipSync(data) : data;
  if (serialization === 'json' || plain[0] === 0x7b) return plain.toString('utf8');
  return JSON.stringify(unpack(plain), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
