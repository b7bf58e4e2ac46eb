import type { ServerLogLine } from '@kalamdb/engine';
import { type Clock, type Random, systemClock, systemRandom, systemTimers, type Timers } from '@kalamdb/protocol';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { trustedProxies } from './auth/client-address.ts';
import { openAuthenticator } from './auth/open-authenticator.ts';
import { PageOrigins } from './auth/page-origins.ts';
import { RateLimit } from './auth/rate-limit.ts';
import { Tokens } from './auth/tokens.ts';
import { loadConfig } from './config/load-config.ts';
import type { ServerConfig } from './config/settings.ts';
import { openConfigured } from './configured-database.ts';
import type { Edge } from './edge.ts';
import type { HttpServer } from './http/connections/http-server.ts';
import { listen } from './http/connections/listening.ts';
import { configuredTls, TlsFiles, type TlsMaterial } from './http/connections/tls-files.ts';
import { createLog, type ServerLog } from './log/log.ts';
import { ServerStats } from './metrics/server-stats.ts';
import { Traffic } from './metrics/traffic.ts';
import { Sockets } from './socket/sockets.ts';

const JWT_SECRET_BYTES = 48;

/** How to start a server from a program. */
export interface ServerOptions {
  /** Settings that differ from the defaults; `server.port: 0` takes any free port. The environment is not read. */
  readonly settings?: Partial<ServerConfig>;
  readonly log?: Logger;
  /** The newest lines of `log`, for `system.server_logs`. */
  readonly recentLines?: () => readonly ServerLogLine[];
  /** Told when the server can no longer keep what is written: the process should end. The log says so in any case. */
  readonly onFailed?: (error: Error) => void;
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
  const { logger: log, recent }: ServerLog =
    options.log === undefined ? createLog(config) : { logger: options.log, recent: options.recentLines ?? (() => []) };
  const environment = {
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    timers: options.timers ?? systemTimers,
    log,
    traffic: new Traffic(),
  };
  const proxies = trustedProxies(config['security.trusted_proxy_ranges']);
  // The HTTP library loads while the hot tier's thread starts.
  const loading = import('./http/http-app.ts');
  loading.catch(() => undefined);
  const tls = await configuredTls(config);
  let running: RunningServer | undefined;
  const database = await openConfigured({
    ...environment,
    config,
    stats: new ServerStats({ config, ...environment }),
    recentLines: recent,
    address: () => (config['server.public_origin'] === '' ? (running?.url ?? '') : config['server.public_origin']),
    onFailed: (error) => {
      log.fatal({ err: error }, 'the database has failed; a start of the server makes it whole again');
      options.onFailed?.(error);
    },
  });
  try {
    running = await serve({ config, database, proxies, ...environment }, tls, await loading);
    return running;
  } catch (error) {
    await database.close();
    throw error;
  }
}

type Environment = Pick<Edge, 'clock' | 'random' | 'timers' | 'log' | 'traffic'>;

async function serve(
  parts: Environment & Pick<Edge, 'config' | 'database' | 'proxies'>,
  tls: TlsMaterial | undefined,
  { createHttpApp }: typeof import('./http/http-app.ts'),
): Promise<RunningServer> {
  const { config, database, clock, traffic } = parts;
  const stop = new AbortController();
  const configured = config['auth.jwt_secret'];
  const secret = configured === '' ? await database.secret('jwt', JWT_SECRET_BYTES) : new TextEncoder().encode(configured);
  const tokens = await Tokens.open({ secret, clock, expiryHours: config['auth.jwt_expiry_hours'] });
  const edge: Edge = {
    ...parts,
    tokens,
    origins: new PageOrigins(config),
    authenticator: openAuthenticator({ ...parts, tokens }),
    loginLimit: new RateLimit(clock, config['rate_limit.max_auth_requests_per_ip_per_sec'], () => traffic.refused('logins')),
    queryLimit: new RateLimit(clock, config['rate_limit.max_queries_per_sec'], () => traffic.refused('queries')),
    stopping: stop.signal,
  };
  const { routes, http } = await createHttpApp(edge, tls);
  const sockets = new Sockets(edge);
  traffic.follow(http.server, sockets);
  http.onUpgrade((request, socket, head) => sockets.upgrade(request, socket, head));
  const host = config['server.host'];
  const { port } = await listen(routes, { host, port: config['server.port'], backlog: config['performance.backlog'] });
  const serving = { routes, http, sockets, tlsFiles: tls === undefined ? undefined : watchTls(tls, edge, http) };
  const scheme = tls === undefined ? 'http' : 'https';
  let closed: Promise<void> | undefined;
  return {
    url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    needsSetup: database.accounts.needsSetup(),
    close() {
      stop.abort();
      closed ??= shutDown(edge, serving);
      return closed;
    },
  };
}

function watchTls(material: TlsMaterial, { config, clock, timers, log }: Edge, http: HttpServer): TlsFiles {
  const paths = { cert: config['server.tls_cert_file'], key: config['server.tls_key_file'] };
  return new TlsFiles(material, { paths, clock, timers, log, apply: (renewed) => http.useTls(renewed) });
}

/** What serves, for as long as it does. */
interface Serving {
  readonly routes: FastifyInstance;
  readonly http: HttpServer;
  readonly sockets: Sockets;
  readonly tlsFiles: TlsFiles | undefined;
}

async function shutDown(edge: Edge, { routes, http, sockets, tlsFiles }: Serving): Promise<void> {
  tlsFiles?.close();
  const closed = Promise.all([sockets.close(), routes.close()]);
  await http.drain(closed, edge.config['performance.shutdown_timeout'] * 1000);
  await edge.database.close();
}
