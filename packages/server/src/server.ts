import type { AddressInfo } from 'node:net';
import { type Database, openDatabase } from '@kalamdb/engine';
import { type Clock, kalamError, type Random, systemClock, systemRandom, systemTimers, type Timers } from '@kalamdb/protocol';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { Authenticator } from './auth/authenticator.ts';
import { trustedProxies } from './auth/client-address.ts';
import { RateLimit } from './auth/rate-limit.ts';
import { Tokens } from './auth/tokens.ts';
import { describeSettings } from './config/describe-settings.ts';
import { loadConfig } from './config/load-config.ts';
import { passwordCost } from './config/password-cost.ts';
import type { ServerConfig } from './config/settings.ts';
import type { Edge } from './edge.ts';
import { createLog } from './log.ts';
import { Sockets } from './socket/sockets.ts';

const JWT_SECRET_BYTES = 48;
/** While the server stops: how often connections are closed whose last request has been answered. */
const IDLE_SWEEP_MILLIS = 50;
/** The value of `storage.data_path` that keeps everything in memory. */
const IN_MEMORY = ':memory:';

/** How to start a server from a program. */
export interface ServerOptions {
  /** Settings that differ from the defaults; `server.port: 0` takes any free port. The environment is not read. */
  readonly settings?: Partial<ServerConfig>;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly timers?: Timers;
}

/** A server that listens. */
export interface RunningServer {
  /** Where it listens, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  /** Whether the first-run setup has to be done before anybody can log in. */
  readonly needsSetup: boolean;
  /**
   * Takes nothing new, lets running requests end within `performance.shutdown_timeout`, closes sockets with 1001 and
   * the database with everything in it durable. Calling it again gives the same promise.
   */
  close(): Promise<void>;
}

/**
 * Opens the database and serves it. Throws CONFIG_INVALID, DIRECTORY_LOCKED, FORMAT_UNKNOWN, DAMAGED_DATA and
 * PORT_UNAVAILABLE; nothing stays open then.
 */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const { config } = loadConfig({ overrides: options.settings });
  const environment = {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    timers: options.timers ?? systemTimers,
    log: options.log ?? createLog(config),
  };
  const proxies = trustedProxies(config['security.trusted_proxy_ranges']);
  // The HTTP library loads while the hot tier's thread starts.
  const loading = import('./http/http-app.ts');
  loading.catch(() => undefined);
  const database = await openConfigured(config, environment);
  try {
    return await serve({ config, database, proxies, ...environment }, await loading);
  } catch (error) {
    await database.close();
    throw error;
  }
}

type Environment = Pick<Edge, 'clock' | 'random' | 'timers' | 'log'>;

function openConfigured(config: ServerConfig, { clock, random, timers, log }: Environment): Promise<Database> {
  const path = config['storage.data_path'];
  const rootPassword = config['auth.root_password'];
  return openDatabase({
    directory: path === IN_MEMORY ? undefined : path,
    durability: config['storage.durability'],
    clock,
    random,
    timers,
    rootPassword: rootPassword === '' ? undefined : rootPassword,
    passwordCost: passwordCost(config['auth.bcrypt_cost']),
    userSubscriptionsMax: config['rate_limit.max_subscriptions_per_user'],
    settings: () => describeSettings(config),
    onWarning: (text, detail) => log.warn(detail, text),
  });
}

async function serve(
  parts: Environment & Pick<Edge, 'config' | 'database' | 'proxies'>,
  { createHttpApp }: typeof import('./http/http-app.ts'),
): Promise<RunningServer> {
  const { config, database, clock } = parts;
  const stop = new AbortController();
  const configured = config['auth.jwt_secret'];
  const secret = configured === '' ? await database.secret('jwt', JWT_SECRET_BYTES) : new TextEncoder().encode(configured);
  const tokens = await Tokens.open({ secret, clock, expiryHours: config['auth.jwt_expiry_hours'] });
  const edge: Edge = {
    ...parts,
    tokens,
    authenticator: new Authenticator(tokens, database.accounts),
    loginLimit: new RateLimit(clock, config['rate_limit.max_auth_requests_per_ip_per_sec']),
    queryLimit: new RateLimit(clock, config['rate_limit.max_queries_per_sec']),
    stopping: stop.signal,
  };
  const app = await createHttpApp(edge);
  const sockets = new Sockets(edge);
  app.server.on('upgrade', (request, socket, head) => sockets.upgrade(request, socket, head));
  await listen(app, config);
  const { port } = app.server.address() as AddressInfo;
  const host = config['server.host'];
  let closed: Promise<void> | undefined;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    needsSetup: database.accounts.needsSetup(),
    close() {
      stop.abort();
      closed ??= shutDown(edge, app, sockets);
      return closed;
    },
  };
}

async function listen(app: FastifyInstance, config: ServerConfig): Promise<void> {
  const host = config['server.host'];
  const port = config['server.port'];
  try {
    await app.listen({ host, port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw kalamError('PORT_UNAVAILABLE', { address: `${host}:${port}`, reason: code });
  }
}

async function shutDown(edge: Edge, app: FastifyInstance, sockets: Sockets): Promise<void> {
  const limit = edge.config['performance.shutdown_timeout'] * 1000;
  const patience = edge.timers.after(
    limit,
    () => {
      edge.log.warn('requests were still running when the time to stop was over; their connections are cut');
      app.server.closeAllConnections();
    },
    { keepAlive: true },
  );
  const sweep = edge.timers.every(IDLE_SWEEP_MILLIS, () => app.server.closeIdleConnections());
  await Promise.all([sockets.close(), app.close()]);
  sweep.cancel();
  patience.cancel();
  await edge.database.close();
}
