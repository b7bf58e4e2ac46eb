import { gunzipSync } from 'node:zlib';
import { parseJson } from '@kalamdb/protocol';
import { Packr, Unpackr } from 'msgpackr';
import { type RawData, WebSocket } from 'ws';

const OPEN_MILLIS_MAX = 5_000;
/** Between two signs of life that are asked for. */
const PING_MILLIS = 500;
/** Without one for so long the connection is taken for dead. */
const PATIENCE_MILLIS = 2_500;

/** How a connection speaks. */
export interface WireForm {
  readonly serialization: 'json' | 'msgpack';
  readonly gzip: boolean;
  /** Whether the token goes with the upgrade or in the first message. */
  readonly authenticates: 'upgrade' | 'message';
}

/** Every form of the protocol. */
export const WIRE_FORMS: readonly WireForm[] = [
  { serialization: 'json', gzip: false, authenticates: 'upgrade' },
  { serialization: 'json', gzip: true, authenticates: 'message' },
  { serialization: 'msgpack', gzip: true, authenticates: 'upgrade' },
  { serialization: 'msgpack', gzip: false, authenticates: 'message' },
];

/** A frame of the server as an object. */
export type Frame = Readonly<Record<string, unknown>>;

const unpackr = new Unpackr({ mapsAsObjects: true, useRecords: false, int64AsType: 'bigint' });
const packr = new Packr({ useRecords: false, variableMapSize: true });

function readFrame(data: RawData, isBinary: boolean, { serialization }: WireForm): Frame {
  const bytes = data as Buffer;
  const plain = isBinary && bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
  // JSON frames begin with a brace, in every form; a map of MessagePack cannot.
  if (!isBinary || serialization === 'json' || plain[0] === 0x7b) return parseJson(plain.toString('utf8')) as Frame;
  return unpackr.unpack(plain) as Frame;
}

/** One subscription of a connection. */
export interface Follower {
  /** Its id in every frame. */
  readonly id: string;
  /** The connection stands: it subscribes. */
  ask(): void;
  /** The connection is gone. */
  cutOff(): void;
  /** A frame that names it. */
  take(frame: Frame): void;
}

/** Where a connection leads and as whom. */
export interface RawConnectionOptions {
  readonly port: () => number;
  readonly token: string;
  readonly form: WireForm;
}

/**
 * A WebSocket that speaks the protocol by itself, without the product's client, for any number of followers. It does not come back by
 * itself: who wants it opens it again, and its followers go on where they stand.
 */
export class RawConnection {
  readonly followers: Set<Follower> = new Set();
  /** Told when the socket is gone, whoever ended it. */
  onGone: () => void = () => undefined;
  readonly #options: RawConnectionOptions;
  #socket: WebSocket | undefined;
  #ping: NodeJS.Timeout | undefined;
  #heardAt = 0;
  #reads = true;

  constructor(options: RawConnectionOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** Connects, authenticates and asks for every follower's query; rejects when the network or the server will not have it. */
  async open(): Promise<void> {
    const { port, token, form } = this.#options;
    const { serialization, gzip, authenticates } = form;
    const byHeader = authenticates === 'upgrade';
    const parameters = byHeader ? `&extensions=progress,window${serialization === 'msgpack' ? '&serialization=msgpack' : ''}` : '';
    const headers = byHeader ? { authorization: `Bearer ${token}` } : {};
    const url = `ws://127.0.0.1:${port()}/v1/ws?compress=${gzip}${parameters}`;
    const socket = new WebSocket(url, { headers, perMessageDeflate: false, handshakeTimeout: OPEN_MILLIS_MAX });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => socket.terminate(), OPEN_MILLIS_MAX);
      socket.on('error', () => undefined);
      socket.once('close', () => reject(new Error('the connection was closed before it was authenticated')));
      socket.once('message', (data, isBinary) => {
        clearTimeout(timer);
        if (readFrame(data, isBinary, form)['type'] === 'auth_success') resolve();
        else reject(new Error(`not authenticated: ${String(data)}`));
      });
      if (byHeader) return;
      const protocol = { serialization, compression: gzip ? 'gzip' : 'none', extensions: ['progress', 'window'] };
      socket.once('open', () => socket.send(JSON.stringify({ type: 'authenticate', method: 'jwt', token, protocol })));
    });
    this.#attach(socket);
    for (const follower of this.followers) follower.ask();
  }

  /** Adds a follower, and asks for its query if the connection stands. */
  follow(follower: Follower): void {
    this.followers.add(follower);
    if (this.isOpen) follower.ask();
  }

  /** Takes a follower away: the server is told so, and what still comes for it means nothing. */
  leave(follower: Follower): void {
    this.followers.delete(follower);
    this.send({ type: 'unsubscribe', subscription_id: follower.id });
  }

  send(message: object): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    const { serialization, gzip } = this.#options.form;
    // A client of MessagePack may write either.
    const isPacked = serialization === 'msgpack' && gzip;
    const text = (): string => JSON.stringify(message, (_, value) => (typeof value === 'bigint' ? String(value) : value));
    socket.send(isPacked ? packr.pack(message) : text());
  }

  /** Stops reading, as a client that has other things to do; what the server sends stays in the network and then with the server. */
  pause(): void {
    this.#reads = false;
    this.#socket?.pause();
  }

  resume(): void {
    this.#reads = true;
    this.#heardAt = performance.now();
    this.#socket?.resume();
  }

  /** Whether it reads what comes. */
  get reads(): boolean {
    return this.#reads;
  }

  /** Ends it without a word. */
  drop(): void {
    this.#socket?.terminate();
  }

  #attach(socket: WebSocket): void {
    const { form } = this.#options;
    this.#socket = socket;
    this.#reads = true;
    this.#heardAt = performance.now();
    socket.on('message', (data, isBinary) => {
      this.#heardAt = performance.now();
      this.#take(readFrame(data, isBinary, form));
    });
    socket.on('pong', () => {
      this.#heardAt = performance.now();
    });
    socket.once('close', () => this.#gone(socket));
    if (socket.readyState !== WebSocket.OPEN) this.#gone(socket);
    this.#ping = setInterval(() => {
      if (this.#reads && performance.now() - this.#heardAt > PATIENCE_MILLIS) socket.terminate();
      else if (socket.readyState === WebSocket.OPEN) socket.ping();
    }, PING_MILLIS);
  }

  #take(frame: Frame): void {
    const id = frame['subscription_id'];
    for (const follower of this.followers) if (follower.id === id) follower.take(frame);
  }

  #gone(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    clearInterval(this.#ping);
    for (const follower of this.followers) follower.cutOff();
    this.onGone();
  }
}
