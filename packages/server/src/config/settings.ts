import type { SettingSpec } from './setting.ts';

/**
 * Every setting of the server: the one definition from which the file's schema, the environment, the flags, the checks
 * and the documentation come. Names are those of KalamDB 0.4.3 where it has the setting. `0` in a limit means "none"
 * only where the description says so.
 */
export const SETTINGS = {
  'server.host': {
    kind: 'text',
    default: '127.0.0.1',
    env: 'KALAMDB_SERVER_HOST',
    flag: '--host <address>',
    description: 'Address to listen on. Anything but a loopback address opens the server to the network.',
  },
  'server.port': {
    kind: 'integer',
    default: 8080,
    minimum: 0,
    maximum: 65535,
    env: 'KALAMDB_SERVER_PORT',
    flag: '--port <number>',
    description: 'Port to listen on; 0 takes any free one.',
  },
  'storage.data_path': {
    kind: 'text',
    default: './data',
    env: 'KALAMDB_DATA_DIR',
    flag: '--data <directory>',
    description: 'Directory that holds everything; it is made when missing. `:memory:` keeps all data in memory.',
  },
  'storage.durability': {
    kind: 'choice',
    default: 'sync',
    choices: ['sync', 'relaxed'],
    env: 'KALAMDB_STORAGE_DURABILITY',
    flag: '--durability <mode>',
    description: 'When a write is acknowledged. sync: on the disk. relaxed: with the operating system, synced within 200 ms.',
  },
  'limits.max_query_limit': {
    kind: 'integer',
    default: 0,
    minimum: 0,
    maximum: 1_000_000_000,
    env: 'KALAMDB_LIMITS_MAX_QUERY_LIMIT',
    description: 'Most rows a SELECT answers; 0: no limit.',
  },
  'limits.default_query_limit': {
    kind: 'integer',
    default: 0,
    minimum: 0,
    maximum: 1_000_000_000,
    env: 'KALAMDB_LIMITS_DEFAULT_QUERY_LIMIT',
    description: 'Rows that a SELECT without LIMIT answers; 0: all.',
  },
  'rate_limit.max_queries_per_sec': {
    kind: 'integer',
    default: 5000,
    minimum: 1,
    maximum: 100_000_000,
    env: 'KALAMDB_RATE_LIMIT_MAX_QUERIES_PER_SEC',
    description: 'SQL requests per second and user.',
  },
  'rate_limit.max_messages_per_sec': {
    kind: 'integer',
    default: 500,
    minimum: 1,
    maximum: 100_000_000,
    env: 'KALAMDB_RATE_LIMIT_MAX_MESSAGES_PER_SEC',
    description: 'WebSocket messages per second and connection.',
  },
  'rate_limit.max_subscriptions_per_user': {
    kind: 'integer',
    default: 1000,
    minimum: 1,
    maximum: 100_000_000,
    env: 'KALAMDB_RATE_LIMIT_MAX_SUBSCRIPTIONS_PER_USER',
    description: 'Open subscriptions of one user, over all connections.',
  },
  'rate_limit.max_auth_requests_per_ip_per_sec': {
    kind: 'integer',
    default: 20,
    minimum: 1,
    maximum: 100_000_000,
    env: 'KALAMDB_RATE_LIMIT_AUTH_REQUESTS_PER_IP_PER_SEC',
    description: 'Attempts to authenticate per second and client address.',
  },
  'rate_limit.request_body_limit_bytes': {
    kind: 'integer',
    default: 10_485_760,
    minimum: 1024,
    maximum: 1_073_741_824,
    env: 'KALAMDB_RATE_LIMIT_REQUEST_BODY_LIMIT_BYTES',
    description: 'Largest body of a SQL request, in bytes.',
  },
  'websocket.client_timeout_secs': {
    kind: 'integer',
    default: 10,
    minimum: 1,
    maximum: 86_400,
    env: 'KALAMDB_WEBSOCKET_CLIENT_TIMEOUT_SECS',
    description: 'Seconds of silence after which a connection is closed.',
  },
  'websocket.auth_timeout_secs': {
    kind: 'integer',
    default: 3,
    minimum: 1,
    maximum: 86_400,
    env: 'KALAMDB_WEBSOCKET_AUTH_TIMEOUT_SECS',
    description: 'Seconds a new connection has to authenticate.',
  },
  'websocket.heartbeat_interval_secs': {
    kind: 'integer',
    default: 5,
    minimum: 1,
    maximum: 86_400,
    env: 'KALAMDB_WEBSOCKET_HEARTBEAT_INTERVAL_SECS',
    description: 'Seconds between two checks for silent connections.',
  },
  'websocket.max_connections': {
    kind: 'integer',
    default: 100_000,
    minimum: 1,
    maximum: 10_000_000,
    env: 'KALAMDB_WEBSOCKET_MAX_CONNECTIONS',
    description: 'Open WebSocket connections of the whole server.',
  },
  'websocket.outbox_bytes_max': {
    kind: 'integer',
    default: 4_194_304,
    minimum: 65_536,
    maximum: 1_073_741_824,
    env: 'KALAMDB_WEBSOCKET_OUTBOX_BYTES_MAX',
    description: 'Bytes waiting for one slow client; beyond, its subscriptions pause and catch up when it has read them.',
  },
  'security.max_ws_message_size': {
    kind: 'integer',
    default: 1_048_576,
    minimum: 1024,
    maximum: 67_108_864,
    env: 'KALAMDB_SECURITY_MAX_WS_MESSAGE_SIZE',
    description: 'Largest WebSocket message of a client, in bytes.',
  },
  'security.strict_ws_origin_check': {
    kind: 'boolean',
    default: false,
    env: 'KALAMDB_SECURITY_STRICT_WS_ORIGIN_CHECK',
    description: 'Refuse WebSocket upgrades that send no Origin.',
  },
  'security.trusted_proxy_ranges': {
    kind: 'list',
    default: [],
    env: 'KALAMDB_SECURITY_TRUSTED_PROXY_RANGES',
    description: 'Addresses or CIDR ranges of reverse proxies whose X-Forwarded-For and X-Real-IP are believed.',
  },
  'security.cors.allowed_origins': {
    kind: 'list',
    default: [],
    env: 'KALAMDB_SECURITY_CORS_ALLOWED_ORIGINS',
    description: 'Origins whose pages may call the server; empty or `*`: any.',
  },
  'security.cors.allowed_methods': {
    kind: 'list',
    default: ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'],
    env: 'KALAMDB_SECURITY_CORS_ALLOWED_METHODS',
    description: 'Methods that pages of other origins may use.',
  },
  'security.cors.allowed_headers': {
    kind: 'list',
    default: ['Authorization', 'Content-Type', 'Accept', 'Origin', 'X-Requested-With'],
    env: 'KALAMDB_SECURITY_CORS_ALLOWED_HEADERS',
    description: 'Request headers that pages of other origins may send.',
  },
  'security.cors.allow_credentials': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_SECURITY_CORS_ALLOW_CREDENTIALS',
    description: 'Whether browsers may send cookies across origins.',
  },
  'security.cors.max_age': {
    kind: 'integer',
    default: 3600,
    minimum: 0,
    maximum: 86_400,
    env: 'KALAMDB_SECURITY_CORS_MAX_AGE',
    description: 'Seconds a browser may remember the answer of a preflight.',
  },
  'auth.jwt_secret': {
    kind: 'text',
    default: '',
    secret: true,
    env: 'KALAMDB_JWT_SECRET',
    description: 'Secret that signs tokens, 32 characters or more; empty: one is generated and kept with the data.',
  },
  'auth.jwt_expiry_hours': {
    kind: 'integer',
    default: 24,
    minimum: 1,
    maximum: 87_600,
    env: 'KALAMDB_JWT_EXPIRY_HOURS',
    description: 'Life of an access token in hours; a refresh token lives seven times as long.',
  },
  'auth.bcrypt_cost': {
    kind: 'integer',
    default: 12,
    minimum: 4,
    maximum: 16,
    env: 'KALAMDB_BCRYPT_COST',
    description: 'Cost of hashing a password on the scale of bcrypt; the hash is argon2id with about that cost.',
  },
  'auth.cookie_secure': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_COOKIE_SECURE',
    description: 'Mark cookies Secure when the request came by https.',
  },
  'auth.allow_remote_setup': {
    kind: 'boolean',
    default: false,
    env: 'KALAMDB_ALLOW_REMOTE_SETUP',
    description: 'Allow the first-run setup from other machines.',
  },
  'auth.root_password': {
    kind: 'text',
    default: '',
    secret: true,
    env: 'KALAMDB_ROOT_PASSWORD',
    description: 'Password of root when the data directory is new; empty: root has none until the setup.',
  },
  'logging.level': {
    kind: 'choice',
    default: 'info',
    choices: ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
    env: 'KALAMDB_LOG_LEVEL',
    flag: '--log-level <level>',
    description: 'Least level that is logged.',
  },
  'logging.format': {
    kind: 'choice',
    default: 'compact',
    choices: ['compact', 'pretty', 'json'],
    env: 'KALAMDB_LOG_FORMAT',
    flag: '--log-format <format>',
    description: 'compact and pretty: lines for people. json: one JSON object a line.',
  },
  'logging.log_to_console': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_LOG_TO_CONSOLE',
    description: 'Whether the log goes to standard output; false: only errors do.',
  },
  'performance.keepalive_timeout': {
    kind: 'integer',
    default: 75,
    minimum: 1,
    maximum: 3600,
    env: 'KALAMDB_PERFORMANCE_KEEPALIVE_TIMEOUT',
    description: 'Seconds an idle HTTP connection stays open.',
  },
  'performance.shutdown_timeout': {
    kind: 'integer',
    default: 10,
    minimum: 1,
    maximum: 600,
    env: 'KALAMDB_PERFORMANCE_SHUTDOWN_TIMEOUT',
    description: 'Seconds that running requests get when the server stops.',
  },
} as const;

/** The dotted name of a setting, as in `[section] key` of the file. */
export type SettingName = keyof typeof SETTINGS;

type ValueOf<S> = S extends { readonly kind: 'integer' }
  ? number
  : S extends { readonly kind: 'boolean' }
    ? boolean
    : S extends { readonly kind: 'choice'; readonly choices: readonly (infer C)[] }
      ? C
      : S extends { readonly kind: 'list' }
        ? readonly string[]
        : string;

/** Every setting with its value, by dotted name. Immutable. */
export type ServerConfig = { readonly [N in SettingName]: ValueOf<(typeof SETTINGS)[N]> };

/** The table, seen as what every row of it is. */
export const SETTING_SPECS: Readonly<Record<SettingName, SettingSpec>> = SETTINGS;

/** All names, in the order of the table. */
export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS) as SettingName[];

/**
 * Names of the original that are accepted in a file and mean nothing here, or not yet: whole sections end in a dot.
 * A file made for the original must be usable as it is.
 */
export const ACCEPTED_WITHOUT_EFFECT: readonly string[] = [
  'server.workers',
  'server.enable_http2',
  'server.api_version',
  'server.public_origin',
  'server.ui_path',
  'storage.shared_tables_template',
  'storage.user_tables_template',
  'storage.rocksdb.',
  'storage.remote_timeouts.',
  'datafusion.',
  'flush.',
  'retention.',
  'stream.',
  'jobs.',
  'execution.',
  'manifest_cache.',
  'shutdown.',
  'cluster.',
  'topics.',
  'user_management.',
  'files.',
  'limits.max_message_size',
  'logging.logs_path',
  'logging.file_path',
  'logging.targets.',
  'logging.otlp.',
  'performance.request_timeout',
  'performance.max_connections',
  'performance.backlog',
  'performance.worker_max_blocking_threads',
  'performance.client_request_timeout',
  'performance.client_disconnect_timeout',
  'performance.max_header_size',
  'rate_limit.enable_connection_protection',
  'rate_limit.max_requests_per_ip_per_sec',
  'rate_limit.max_connections_per_ip',
  'rate_limit.ban_duration_seconds',
  'rate_limit.cache_max_entries',
  'rate_limit.cache_ttl_seconds',
  'security.cors.expose_headers',
  'security.cors.allow_private_network',
  'security.max_request_body_size',
  'auth.jwt_trusted_issuers',
  'auth.min_password_length',
  'auth.max_password_length',
  'auth.enforce_password_complexity',
  'auth.auto_create_users_from_provider',
  'auth.enabled',
  'oauth.',
];
