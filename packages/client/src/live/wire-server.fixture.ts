import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { parseJson } from '@kalamdb/protocol';
import { type WebSocket, WebSocketServer } from 'ws';

/** One version of a row. */
interface Version {
  readonly id: number;
  readonly body: string | null;
  readonly seq: bigint;
  readonly createdSeq: bigint;
  readonly deleted: boolean;
}

interface Subscribed {
  readonly id: string;
  readonly boundary: bigint;
  readonly batchSize: number;
  batchNum: number;
  live: boolean;
  cursor: bigint;
}

const FRAME_PLAIN_BYTES_MAX = 512;
const SCHEMA = [
  { name: 'id', data_type: 'Int', index: 0, flags: ['pk', 'nn', 'uq'] },
  { name: 'body', data_type: 'Text', index: 1 },
  { name: '_seq', data_type: 'BigInt', index: 2, flags: ['nn'] },
  { name: '_deleted', data_type: 'Boolean', index: 3, flags: ['nn'] },
];

/** The wire protocol over real sockets and one table in memory: as little of a server as a client can be tried against, with faults on demand. */
export class WireServer {
  readonly url: string;
  readonly #http: Server;
  readonly #sockets = new Map<WebSocket, Map<string, Subscribed>>();
  readonly #versions = new Map<number, Version>();
  readonly #history: Version[] = [];
  #seq = 316_847_529_014_263_808n;
  /** Every text that came in. */
  readonly received: string[] = [];
  /** Tokens that are accepted; others get `auth_error`. */
  tokens: ReadonlySet<string> = new Set(['good']);
  /** Cursors at or below this cannot be served. */
  expiredSeq = 0n;
  /** Answers a resume with one version too many, as a server that takes `from` inclusively would. */
  overlapping = false;
  /** So many subscriptions are refused as one too many. */
  limitRefusals = 0;
  /** Cuts a connection after this many frames. */
  cutAfterFrames: number | undefined;

  private constructor(http: Server) {
    this.#http = http;
    this.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const sockets = new WebSocketServer({ server: http, path: '/v1/ws' });
    sockets.on('connection', (socket) => this.#accept(socket));
  }

  static async start(): Promise<WireServer> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return new WireServer(http);
  }

  async stop(): Promise<void> {
    this.cutAll();
    this.#http.close();
    await once(this.#http, 'close');
  }

  /** The rows a SELECT would answer, oldest version first. */
  get rows(): readonly { id: number; body: string | null; _seq: string }[] {
    return this.#live(0n).map(({ id, body, seq }) => ({ id, body, _seq: String(seq) }));
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get lastSeq(): bigint {
    return this.#seq;
  }

  put(id: number, body: string | null): void {
    const before = this.#versions.get(id);
    const next = this.#commit({
      id,
      body,
      deleted: false,
      createdSeq: before === undefined || before.deleted ? undefined : before.createdSeq,
    });
    this.#publish(next, before);
  }

  remove(id: number): void {
    const before = this.#versions.get(id);
    if (before === undefined || before.deleted) return;
    this.#publish(this.#commit({ ...before, deleted: true }), before);
  }

  /** Resets every connection. */
  cutAll(): void {
    for (const socket of [...this.#sockets.keys()]) socket.terminate();
    this.#sockets.clear();
  }

  /** Tells every subscription that it is over. */
  endAll(code: string): void {
    for (const [socket, subscriptions] of this.#sockets) {
      for (const id of subscriptions.keys()) this.#send(socket, { type: 'error', subscription_id: id, code, message: code });
      subscriptions.clear();
    }
  }

  #commit(version: Pick<Version, 'id' | 'body' | 'deleted'> & { createdSeq: bigint | undefined }): Version {
    this.#seq += 4096n;
    const next: Version = { ...version, seq: this.#seq, createdSeq: version.createdSeq ?? this.#seq };
    this.#versions.set(next.id, next);
    this.#history.push(next);
    return next;
  }

  #live(after: bigint, upTo: bigint = this.#seq): Version[] {
    const latest = [...this.#versions.values()].filter(({ seq, deleted }) => !deleted && seq > after && seq <= upTo);
    return latest.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }

  #accept(socket: WebSocket): void {
    this.#sockets.set(socket, new Map());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('message', (data) => {
      const text = String(data);
      this.received.push(text);
      this.#handle(socket, parseJson(text) as Record<string, unknown>);
    });
  }

  #handle(socket: WebSocket, message: Record<string, unknown>): void {
    const subscriptions = this.#sockets.get(socket);
    if (subscriptions === undefined) return;
    const id = String(message['subscription_id']);
    switch (message['type']) {
      case 'authenticate':
        if (this.tokens.has(String(message['token'])))
          this.#send(socket, { type: 'auth_success', user: 'alice', role: 'user', protocol: message['protocol'] });
        else {
          this.#send(socket, { type: 'auth_error', message: 'Invalid credentials' });
          socket.close(1008, 'Authentication failed');
        }
        return;
      case 'subscribe':
        this.#subscribe(socket, message['subscription'] as { id: string; options: Record<string, unknown> });
        return;
      case 'next_batch': {
        const subscribed = subscriptions.get(id);
        if (subscribed === undefined)
          this.#send(socket, { type: 'error', subscription_id: id, code: 'BATCH_FETCH_FAILED', message: 'Not found' });
        else this.#batch(socket, subscribed, BigInt(message['last_seq_id'] as bigint));
        return;
      }
      case 'unsubscribe':
        subscriptions.delete(id);
    }
  }

  #subscribe(socket: WebSocket, { id, options }: { id: string; options: Record<string, unknown> }): void {
    if (this.limitRefusals > 0) {
      this.limitRefusals--;
      this.#send(socket, { type: 'error', subscription_id: id, code: 'SUBSCRIPTION_LIMIT_EXCEEDED', message: 'too many' });
      return;
    }
    const from = options['from'] === undefined ? undefined : BigInt(options['from'] as bigint);
    if (from !== undefined && from <= this.expiredSeq) {
      this.#send(socket, { type: 'error', subscription_id: id, code: 'RESYNC_REQUIRED', message: 'too old' });
      return;
    }
    const subscribed: Subscribed = {
      id,
      boundary: this.#seq,
      batchSize: Number(options['batch_size'] ?? 1000),
      batchNum: 0,
      live: false,
      cursor: from ?? 0n,
    };
    this.#sockets.get(socket)?.set(id, subscribed);
    this.#batch(socket, subscribed, (from ?? 0n) - (this.overlapping && from !== undefined ? 1n : 0n), true);
  }

  /** A batch ends before the first version that is deleted and was known before the cursor: from there on everything is a change. */
  #batch(socket: WebSocket, subscribed: Subscribed, after: bigint, first = false): void {
    const versions = [...this.#versions.values()].filter(({ seq }) => seq > after && seq <= subscribed.boundary);
    versions.sort((a, b) => (a.seq < b.seq ? -1 : 1));
    const wanted = versions.filter(({ deleted, createdSeq }) => !deleted || (after > 0n && createdSeq <= after));
    const cut = wanted.findIndex(({ deleted }) => deleted);
    const rows = (cut < 0 ? wanted : wanted.slice(0, cut)).slice(0, subscribed.batchSize);
    const hasMore = rows.length === subscribed.batchSize && this.#live(rows.at(-1)?.seq ?? 0n, subscribed.boundary).length > 0;
    const control = {
      batch_num: subscribed.batchNum++,
      has_more: hasMore,
      status: hasMore ? (first ? 'loading' : 'loading_batch') : 'ready',
      last_seq_id: rows.at(-1)?.seq ?? null,
    };
    if (first)
      this.#send(socket, {
        type: 'subscription_ack',
        subscription_id: subscribed.id,
        total_rows: 0,
        batch_control: control,
        schema: SCHEMA,
      });
    this.#send(socket, { type: 'initial_data_batch', subscription_id: subscribed.id, rows: rows.map(fullRow), batch_control: control });
    if (hasMore) return;
    subscribed.live = true;
    // what the batches left out, and what happened while they were read
    const reached = rows.at(-1)?.seq ?? after;
    const rest = [...this.#versions.values()].filter(
      ({ seq, deleted }) => seq > reached && (deleted || seq > subscribed.boundary || cut >= 0),
    );
    for (const version of rest.sort((a, b) => (a.seq < b.seq ? -1 : 1))) this.#change(socket, subscribed, version, undefined);
  }

  #publish(version: Version, before: Version | undefined): void {
    for (const [socket, subscriptions] of this.#sockets) {
      for (const subscribed of subscriptions.values()) if (subscribed.live) this.#change(socket, subscribed, version, before);
    }
  }

  #change(socket: WebSocket, { id }: Subscribed, version: Version, before: Version | undefined): void {
    const head = { type: 'change', subscription_id: id };
    if (version.deleted) {
      const values = before === undefined ? { id: version.id, _seq: String(version.seq) } : { ...fullRow(version), _deleted: true };
      this.#send(socket, { ...head, change_type: 'delete', old_values: [values] });
    } else if (before === undefined || before.deleted) {
      this.#send(socket, { ...head, change_type: 'insert', rows: [fullRow(version)] });
    } else {
      const row = { id: version.id, ...(version.body === null ? {} : { body: version.body }), _seq: String(version.seq) };
      const old = { id: version.id, ...(version.body === before.body ? {} : { body: before.body }), _seq: String(before.seq) };
      this.#send(socket, { ...head, change_type: 'update', rows: [row], old_values: [old] });
    }
  }

  #send(socket: WebSocket, message: object): void {
    if (!this.#sockets.has(socket)) return;
    if (this.cutAfterFrames !== undefined && this.cutAfterFrames-- <= 0) {
      this.cutAfterFrames = undefined;
      this.cutAll();
      return;
    }
    // sequence ids of the protocol are bare integers, which JSON.stringify has no way to say
    const text = JSON.stringify(message, (_key, value: unknown) => (typeof value === 'bigint' ? `#${value}#` : value)).replace(
      /"#(\d+)#"/g,
      '$1',
    );
    if (text.length < FRAME_PLAIN_BYTES_MAX || 'user' in message) socket.send(text);
    else socket.send(gzipSync(text));
  }
}

const fullRow = ({ id, body, seq }: Version): object => ({ id, body, _seq: String(seq), _deleted: false });
