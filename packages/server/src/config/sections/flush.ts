/** Moving rows from the hot tier into segments. */
export const FLUSH_SETTINGS = {
  'flush.check_interval_seconds': {
    kind: 'integer',
    default: 60,
    minimum: 1,
    maximum: 86_400,
    env: 'KALAMDB_FLUSH_CHECK_INTERVAL_SECONDS',
    description: 'Seconds between two looks at which tables their flush policies want flushed.',
  },
  'flush.partition_bytes': {
    kind: 'integer',
    default: 67_108_864,
    minimum: 65_536,
    maximum: 1_099_511_627_776,
    env: 'KALAMDB_FLUSH_PARTITION_BYTES',
    description:
      'Bytes of hot rows at which a table with a flush policy is flushed in any case: those of a SHARED table, or of one user in a USER table.',
  },
} as const;
