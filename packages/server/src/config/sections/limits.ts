/** Bounds of results. */
export const LIMITS_SETTINGS = {
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
} as const;
