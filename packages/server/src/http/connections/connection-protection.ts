import { type BlockList, isIP, type Socket } from 'node:net';
import type { Clock, Timer, Timers } from '@kalamdb/protocol';
import { clientAddress, isLoopback, networkOf, plainAddress } from '../../auth/client-address.ts';
import { RateWindow } from '../../auth/rate-limit.ts';
import type { HttpRequest, PlainAnswer } from '../http-exchange.ts';

/** Addresses that are remembered at a time; beyond, the one that was heard of longest ago is forgotten. */
const ADDRESSES_MAX = 100_000;
/** Refusals after which an address is banned. */
const VIOLATIONS_MAX = 10;
/** A ban lasts this many times the configured duration at most: the first once, the second twice, … */
const BAN_FACTOR_MAX = 6;
/** An address of which nothing was heard for so long begins anew. */
const FORGET_MILLIS = 3_600_000;
/** How often addresses are looked through that can be forgotten. */
const SWEEP_MILLIS = 60_000;
/** What a client is told to wait that has too many connections, in seconds. */
const CONNECTIONS_RETRY_SECONDS = 5;

/** The bounds of one address. */
export interface ProtectionLimits {
  readonly requestsPerSecond: number;
  readonly connectionsMax: number;
  readonly banSeconds: number;
}

/** What the protection works with. */
export interface ProtectionSources {
  readonly limits: ProtectionLimits;
  readonly proxies: BlockList;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** What is known of an address. */
interface Visitor {
  readonly window: RateWindow;
  heardAtMillis: number;
  connections: number;
  violations: number;
  bans: number;
  bannedUntilMillis: number;
}

/** Whether a request may go on: the answer that refuses it, or what to call when it is done, if anything. */
export type Admission = { readonly refusal: PlainAnswer } | { readonly refusal: undefined; readonly release: (() => void) | undefined };

const FREE: Admission = { refusal: undefined, release: undefined };

/**
 * Bounds what one address may ask of the server (wire-protocol 1.6). The address is the resolved one, of IPv6 its /64; this machine is free. A
 * direct client is bounded in open connections; clients behind a believed proxy share its connections, so of those the running
 * requests and the WebSockets count.
 */
export class ConnectionProtection {
  readonly #limits: ProtectionLimits;
  readonly #proxies: BlockList;
  /** Looking into an empty list takes a microsecond too. */
  readonly #hasProxies: boolean;
  readonly #clock: Clock;
  readonly #visitors = new Map<string, Visitor>();
  /** Address and port of connections that were one too many when they came. */
  readonly #surplus = new Set<string>();
  readonly #sweep: Timer;

  constructor({ limits, proxies, clock, timers }: ProtectionSources) {
    this.#limits = limits;
    this.#proxies = proxies;
    this.#hasProxies = proxies.rules.length > 0;
    this.#clock = clock;
    this.#sweep = timers.every(SWEEP_MILLIS, () => this.#forgetQuiet());
  }

  /** Addresses that are remembered. */
  get addresses(): number {
    return this.#visitors.size;
  }

  /** Counts a new connection until it closes. False: there are so many from its address that it is not even worth an answer. */
  opened(socket: Socket): boolean {
    const peer = plainAddress(socket.remoteAddress ?? '');
    if (isIP(peer) === 0 || this.#speaksForOthers(peer)) return true;
    const visitor = this.#visitor(peer);
    visitor.connections += 1;
    const surplus = visitor.connections > this.#limits.connectionsMax;
    const name = surplus ? connectionName(socket) : '';
    if (surplus) this.#surplus.add(name);
    socket.once('close', () => {
      visitor.connections -= 1;
      if (surplus) this.#surplus.delete(name);
    });
    return visitor.connections <= this.#limits.connectionsMax * 2;
  }

  /** Decides about a request, which may be one to upgrade. */
  admit(request: HttpRequest): Admission {
    const { headers, socket } = request;
    const peer = plainAddress(socket.remoteAddress ?? '');
    // The connection is gone already.
    if (isIP(peer) === 0) return FREE;
    const direct = !this.#speaksForOthers(peer);
    if (!direct && headers['x-forwarded-for'] === undefined && headers['x-real-ip'] === undefined) return FREE;
    const address = direct ? peer : clientAddress({ peer, headers }, this.#proxies);
    // A proxy that names nobody speaks for itself.
    if (isLoopback(address) || (!direct && address === peer)) return FREE;
    const visitor = this.#visitor(address);
    const now = this.#clock.elapsed();
    if (visitor.bannedUntilMillis > now) return { refusal: this.#banned(visitor.bannedUntilMillis - now) };
    if (!visitor.window.allows(now, this.#limits.requestsPerSecond)) {
      this.#violation(visitor);
      return { refusal: RATE_EXCEEDED };
    }
    return direct ? this.#admitDirect(visitor, socket) : this.#admitForwarded(visitor);
  }

  /** Counts a body that is larger than allowed against the address of its request. */
  noteViolation(request: HttpRequest): void {
    const address = clientAddress({ peer: request.socket.remoteAddress, headers: request.headers }, this.#proxies);
    if (!isLoopback(address)) this.#violation(this.#visitor(address));
  }

  /** Ends the looking through. */
  close(): void {
    this.#sweep.cancel();
  }

  #admitDirect(visitor: Visitor, socket: HttpRequest['socket']): Admission {
    if (this.#surplus.size === 0) return FREE;
    const name = connectionName(socket);
    if (!this.#surplus.has(name)) return FREE;
    if (visitor.connections <= this.#limits.connectionsMax) {
      this.#surplus.delete(name);
      return FREE;
    }
    this.#violation(visitor);
    return { refusal: this.#tooMany(visitor.connections) };
  }

  #admitForwarded(visitor: Visitor): Admission {
    if (visitor.connections >= this.#limits.connectionsMax) {
      this.#violation(visitor);
      return { refusal: this.#tooMany(visitor.connections + 1) };
    }
    visitor.connections += 1;
    let open = true;
    return {
      refusal: undefined,
      release: () => {
        if (open) visitor.connections -= 1;
        open = false;
      },
    };
  }

  #speaksForOthers(peer: string): boolean {
    return isLoopback(peer) || (this.#hasProxies && this.#proxies.check(peer, peer.includes(':') ? 'ipv6' : 'ipv4'));
  }

  #visitor(address: string): Visitor {
    const network = networkOf(address);
    const now = this.#clock.elapsed();
    let visitor = this.#visitors.get(network);
    if (visitor === undefined) {
      visitor = { window: new RateWindow(), heardAtMillis: now, connections: 0, violations: 0, bans: 0, bannedUntilMillis: 0 };
      this.#visitors.set(network, visitor);
      if (this.#visitors.size > ADDRESSES_MAX) this.#forgetOldest();
    } else if (visitor.window.isOver(now)) {
      // Once a second at most, to keep the map in the order in which addresses were heard of.
      this.#visitors.delete(network);
      this.#visitors.set(network, visitor);
    }
    visitor.heardAtMillis = now;
    return visitor;
  }

  #violation(visitor: Visitor): void {
    visitor.violations += 1;
    if (visitor.violations < VIOLATIONS_MAX) return;
    visitor.violations = 0;
    visitor.bans += 1;
    const seconds = this.#limits.banSeconds * Math.min(visitor.bans, BAN_FACTOR_MAX);
    visitor.bannedUntilMillis = this.#clock.elapsed() + seconds * 1000;
  }

  /** Open connections go on counting in the object they hold; only what an address did is forgotten. */
  #forgetOldest(): void {
    const oldest = this.#visitors.keys().next();
    if (oldest.done !== true) this.#visitors.delete(oldest.value);
  }

  #forgetQuiet(): void {
    const before = this.#clock.elapsed() - FORGET_MILLIS;
    for (const [address, visitor] of this.#visitors) {
      if (visitor.heardAtMillis <= before && visitor.connections === 0) this.#visitors.delete(address);
    }
  }

  #banned(millis: number): PlainAnswer {
    const seconds = Math.ceil(millis / 1000);
    const body = {
      error: 'IP_BANNED',
      message: 'Your address is banned for a while because of too many refused requests.',
      retry_after_seconds: seconds,
    };
    const reset = Math.ceil((this.#clock.now() + millis) / 1000);
    return { status: 429, headers: { 'retry-after': String(seconds), 'x-ratelimit-reset': String(reset) }, body: JSON.stringify(body) };
  }

  #tooMany(current: number): PlainAnswer {
    const max = this.#limits.connectionsMax;
    const body = { error: 'TOO_MANY_CONNECTIONS', message: 'Too many connections from your address.', current, max };
    return { status: 503, headers: { 'retry-after': String(CONNECTIONS_RETRY_SECONDS) }, body: JSON.stringify(body) };
  }
}

/** The same for a connection and for the requests on it, whatever they are wrapped in. */
function connectionName(socket: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined }): string {
  return `${socket.remoteAddress} ${socket.remotePort}`;
}

const RATE_EXCEEDED: PlainAnswer = {
  status: 429,
  headers: { 'retry-after': '1' },
  body: JSON.stringify({
    error: 'RATE_LIMIT_EXCEEDED',
    message: 'Too many requests from your address. Please slow down.',
    retry_after_seconds: 1,
  }),
};
