import type { BlockList } from 'node:net';
import type { Database } from '@kalamdb/engine';
import type { Clock, Random, Timers } from '@kalamdb/protocol';
import type { Logger } from 'pino';
import type { Authenticator } from './auth/authenticator.ts';
import type { PageOrigins } from './auth/page-origins.ts';
import type { RateLimit } from './auth/rate-limit.ts';
import type { Tokens } from './auth/tokens.ts';
import type { ServerConfig } from './config/settings.ts';
import type { Traffic } from './metrics/traffic.ts';

/** What every route and socket of a running server shares. Made once by `startServer`. */
export interface Edge {
  readonly config: ServerConfig;
  readonly database: Database;
  readonly tokens: Tokens;
  readonly authenticator: Authenticator;
  /** Attempts to authenticate, by client address; HTTP and WebSocket count together. */
  readonly loginLimit: RateLimit;
  /** SQL requests, by user. */
  readonly queryLimit: RateLimit;
  readonly proxies: BlockList;
  readonly origins: PageOrigins;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Logger;
  /** What is counted for metrics. */
  readonly traffic: Traffic;
  /** Aborted when the server begins to stop: nothing new is taken from then on. */
  readonly stopping: AbortSignal;
}
