/** Connections, their time-outs, and how long a stop may take. */
export const PERFORMANCE_SETTINGS = {
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
  'performance.request_timeout': {
    kind: 'integer',
    default: 30,
    minimum: 1,
    maximum: 3600,
    env: 'KALAMDB_PERFORMANCE_REQUEST_TIMEOUT',
    description: 'Seconds a client may take to send one request, headers and body.',
  },
  'performance.max_connections': {
    kind: 'integer',
    // The original's 25,000, and room for all of websocket.max_connections beside them.
    default: 125_000,
    minimum: 1,
    maximum: 10_000_000,
    env: 'KALAMDB_PERFORMANCE_MAX_CONNECTIONS',
    description:
      'Open connections of the whole server, HTTP and WebSocket together; further ones are refused. The operating system must allow as many open files.',
  },
  'performance.backlog': {
    kind: 'integer',
    default: 4096,
    minimum: 1,
    maximum: 65535,
    env: 'KALAMDB_PERFORMANCE_BACKLOG',
    description: 'Connections that may wait to be accepted; the operating system may allow fewer.',
  },
  'performance.max_header_size': {
    kind: 'integer',
    default: 16_384,
    minimum: 1024,
    maximum: 1_048_576,
    env: 'KALAMDB_PERFORMANCE_MAX_HEADER_SIZE',
    description: 'Largest headers of a request, in bytes.',
  },
} as const;
