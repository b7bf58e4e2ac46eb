import type { Server } from 'node:net';
import { BucketCounts } from './bucket-counts.ts';

/** Upper ends of the buckets of statement times, in seconds. */
const SECONDS_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** The route of requests that no route is made for. */
export const NO_ROUTE = 'none';

/** Limits that refuse what comes too often, or is too much at a time. */
export type RefusalLimit = 'queries' | 'logins' | 'messages' | 'address' | 'connections';

/** The WebSocket side, as metrics see it. */
export interface SocketFigures {
  /** Open connections. */
  readonly count: number;
  /** Bytes that wait in the outboxes of all of them. */
  readonly outboxBytes: number;
}

/** Answers of one route by status. */
export class RouteTraffic {
  readonly byStatus: Map<number, number> = new Map();

  count(status: number): void {
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
  }
}

/**
 * What the server was asked and answered since it started: plain numbers that only rise, counted where things happen and read
 * when somebody asks for metrics.
 */
export class Traffic {
  readonly routes: Map<string, RouteTraffic> = new Map();
  /** Times of statements that succeeded and that failed, in seconds. */
  readonly succeeded: BucketCounts = new BucketCounts(SECONDS_BOUNDS);
  readonly failed: BucketCounts = new BucketCounts(SECONDS_BOUNDS);
  readonly refusals: Map<RefusalLimit, number> = new Map();
  slowStatements = 0;
  /** Open HTTP connections, those that became WebSockets included; and the most there were at a time. */
  connections = 0;
  connectionsPeak = 0;
  sockets: SocketFigures = { count: 0, outboxBytes: 0 };
  /** The most WebSocket connections that there were at a time. */
  webSocketsPeak = 0;

  /** The counts of a route, by method and pattern; there are as many as the server has routes. */
  route(name: string): RouteTraffic {
    let traffic = this.routes.get(name);
    if (traffic === undefined) {
      traffic = new RouteTraffic();
      this.routes.set(name, traffic);
    }
    return traffic;
  }

  /** A WebSocket was opened; there are so many now. */
  webSocketOpened(count: number): void {
    this.webSocketsPeak = Math.max(this.webSocketsPeak, count);
  }

  refused(limit: RefusalLimit): void {
    this.refusals.set(limit, (this.refusals.get(limit) ?? 0) + 1);
  }

  /** Counts the connections of a server from now on, and reads the figures of its WebSockets. */
  follow(server: Server, sockets: SocketFigures): void {
    this.sockets = sockets;
    server.on('drop', () => this.refused('connections'));
    server.on('connection', (socket) => {
      this.connections += 1;
      this.connectionsPeak = Math.max(this.connectionsPeak, this.connections);
      socket.once('close', () => {
        this.connections -= 1;
      });
    });
  }
}
