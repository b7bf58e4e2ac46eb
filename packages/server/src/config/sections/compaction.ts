/** Merging segments, and letting go what was deleted long ago. */
export const COMPACTION_SETTINGS = {
  'compaction.check_interval_seconds': {
    kind: 'integer',
    default: 60,
    minimum: 1,
    maximum: 86_400,
    env: 'KALAMDB_COMPACTION_CHECK_INTERVAL_SECONDS',
    description: 'Seconds between two looks at which tables have segments that should be merged.',
  },
  'retention.default_deleted_retention_hours': {
    kind: 'integer',
    default: 168,
    minimum: 0,
    maximum: 876_000,
    env: 'KALAMDB_DELETED_RETENTION_HOURS',
    description:
      'Hours for which deleted rows are kept (_deleted = true) in tables that do not set DELETED_RETENTION_HOURS. A client that was away for longer loads its live queries anew.',
  },
} as const;
