/** What is logged, and how. */
export const LOGGING_SETTINGS = {
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
  'logging.slow_query_threshold_ms': {
    kind: 'integer',
    default: 1000,
    minimum: 0,
    maximum: 86_400_000,
    env: 'KALAMDB_LOGGING_SLOW_QUERY_THRESHOLD_MS',
    description: 'Statements that take longer, in milliseconds, are logged as warnings, without their values; 0: none is.',
  },
} as const;
