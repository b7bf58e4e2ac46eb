/** Who may read /metrics. */
export const METRICS_SETTINGS = {
  'metrics.allow_remote': {
    kind: 'boolean',
    default: false,
    env: 'KALAMDB_METRICS_ALLOW_REMOTE',
    description: 'Whether other machines may read /metrics; this machine always may.',
  },
  'metrics.enabled': {
    kind: 'boolean',
    default: true,
    env: 'KALAMDB_METRICS_ENABLED',
    description: 'Whether /metrics answers.',
  },
} as const;
