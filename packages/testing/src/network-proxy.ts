import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { systemTimers } from '@kalamdb/protocol';
import type { SeededRandom } from './seeded-random.ts';

/** What a proxy can do to a turn, that is to the bytes that arrive in one go. */
export type NetworkFault = 'cut' | 'halfOpen' | 'delay' | 'split';

/** How often each fault strikes a turn, from 0 to 1; `refuse` strikes a connection when it is made. */
export interface NetworkWeather extends Readonly<Record<NetworkFault, number>> {
  readonly refuse: number;
  /** Longest delay of a turn, in milliseconds. */
  readonly delayMillisMax: number;
}

/** A network on which nothing goes wrong. */
export const CALM_WEATHER: NetworkWeather = { cut: 0, halfOpen: 0, delay: 0, split: 0, refuse: 0, delayMillisMax: 0 };

/** How a proxy is set up. */
export interface NetworkProxyOptions {
  /** Where connections lead to, on the loopback interface; asked for each one, so that a server may move. */
  readonly targetPort: () => number;
  readonly random: SeededRandom;
  readonly weather?: NetworkWeather | undefined;
}

/**
 * A TCP proxy on a loopback port, in this process, that treats connections as its weather says: it cuts them, lets them live
 * half-open (it takes bytes and passes none on, in both directions, until somebody gives up), holds turns back, so that turns of
 * different connections overtake each other, and splits them. Within a connection bytes keep their order, as TCP promises.
 */
export class NetworkProxy {
  readonly port: number;
  /** What has happened so far. */
  readonly counts: Record<NetworkFault | 'refuse' | 'connections', number> = {
    cut: 0,
    halfOpen: 0,
    delay: 0,
    split: 0,
    refuse: 0,
    connections: 0,
  };
  weather: NetworkWeather;
  readonly #server: Server;
  readonly #targetPort: () => number;
  readonly #random: SeededRandom;
  readonly #links = new Set<Link>();

  private constructor(server: Server, { targetPort, random, weather = CALM_WEATHER }: NetworkProxyOptions) {
    this.port = (server.address() as AddressInfo).port;
    this.weather = weather;
    this.#server = server;
    this.#targetPort = targetPort;
    this.#random = random;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** Opens a port. Whoever starts a proxy closes it. */
  static async start(options: NetworkProxyOptions): Promise<NetworkProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new NetworkProxy(server, options);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that stand, half-open ones included. */
  get connections(): number {
    return this.#links.size;
  }

  /** Cuts every connection. */
  cutAll(): void {
    for (const link of [...this.#links]) link.cut();
  }

  /** Lets every connection that stands live half-open from now on. */
  swallowAll(): void {
    for (const link of this.#links) link.swallow();
  }

  /** Cuts every connection and takes no more. */
  async close(): Promise<void> {
    this.#server.close();
    this.cutAll();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    this.counts.connections += 1;
    if (this.#strikes(this.weather.refuse)) {
      this.counts.refuse += 1;
      socket.resetAndDestroy();
      return;
    }
    const link = new Link(
      socket,
      connect(this.#targetPort(), '127.0.0.1'),
      () => this.#forecast(),
      () => this.#links.delete(link),
    );
    this.#links.add(link);
  }

  /** What happens to the next turn. */
  #forecast(): Turn {
    const { cut, halfOpen, delay, split, delayMillisMax } = this.weather;
    if (this.#strikes(cut)) return this.#counted('cut', { end: 'cut' });
    if (this.#strikes(halfOpen)) return this.#counted('halfOpen', { end: 'swallow' });
    const delayMillis = this.#strikes(delay) ? 1 + this.#random.integer(delayMillisMax) : 0;
    if (delayMillis > 0) this.counts.delay += 1;
    const splitAt = this.#strikes(split) ? this.#random.uniform() : undefined;
    if (splitAt !== undefined) this.counts.split += 1;
    return { end: undefined, delayMillis, splitAt };
  }

  #counted(fault: NetworkFault, turn: Turn): Turn {
    this.counts[fault] += 1;
    return turn;
  }

  #strikes(probability: number): boolean {
    return probability > 0 && this.#random.uniform() < probability;
  }
}

type Turn =
  | { readonly end: 'cut' | 'swallow' }
  | { readonly end: undefined; readonly delayMillis: number; readonly splitAt: number | undefined };

/** Two sockets and what goes between them. */
class Link {
  readonly #ends: readonly [Socket, Socket];
  readonly #forecast: () => Turn;
  readonly #gone: () => void;
  #swallowing = false;

  constructor(client: Socket, server: Socket, forecast: () => Turn, gone: () => void) {
    this.#ends = [client, server];
    this.#forecast = forecast;
    this.#gone = gone;
    this.#pass(client, server);
    this.#pass(server, client);
  }

  swallow(): void {
    this.#swallowing = true;
  }

  cut(): void {
    for (const end of this.#ends) end.destroy();
    this.#gone();
  }

  #pass(from: Socket, to: Socket): void {
    // turns of one direction follow each other: the next one waits for the one before
    let last: Promise<void> = Promise.resolve();
    from.on('error', () => this.cut());
    from.on('data', (bytes) => {
      from.pause();
      last = last.then(() => this.#turn(bytes, to)).then(() => void from.resume());
    });
    from.on('end', () => {
      last = last.then(() => void (this.#swallowing || to.end()));
    });
    // half-open: the other end is not told that this one has gone
    from.on('close', () => {
      if (this.#swallowing && from === this.#ends[1]) return;
      this.cut();
    });
  }

  async #turn(bytes: Buffer, to: Socket): Promise<void> {
    if (this.#swallowing) return;
    const turn = this.#forecast();
    if (turn.end === 'cut') this.cut();
    else if (turn.end === 'swallow') this.swallow();
    else if (turn.end === undefined) {
      const at = Math.floor(bytes.length * (turn.splitAt ?? 0));
      await this.#send([bytes.subarray(0, at), bytes.subarray(at)], to, turn.delayMillis);
    }
  }

  async #send(parts: readonly Buffer[], to: Socket, delayMillis: number): Promise<void> {
    for (const part of parts) {
      if (part.length === 0) continue;
      await pause(delayMillis);
      if (this.#swallowing || to.destroyed) return;
      if (!to.write(part)) await writable(to);
    }
  }
}

/** Resolves when a socket takes bytes again, or is gone. */
function writable(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['drain', 'close']) socket.once(event, () => resolve());
  });
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => {
    systemTimers.after(millis, resolve, { keepAlive: true });
  });
}
