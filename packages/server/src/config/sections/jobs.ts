/** Background jobs. */
export const JOBS_SETTINGS = {
  'jobs.max_concurrent': {
    kind: 'integer',
    default: 10,
    minimum: 1,
    maximum: 100,
    env: 'KALAMDB_JOBS_MAX_CONCURRENT',
    description: 'Background jobs that run at the same time.',
  },
  'jobs.max_retries': {
    kind: 'integer',
    default: 3,
    minimum: 0,
    maximum: 100,
    env: 'KALAMDB_JOBS_MAX_RETRIES',
    description: 'Retries of a job that fails, before it has failed for good.',
  },
  'jobs.retention_days': {
    kind: 'integer',
    default: 7,
    minimum: 1,
    maximum: 3650,
    env: 'KALAMDB_JOBS_RETENTION_DAYS',
    description: 'Days for which system.jobs shows a job after its end; of each type 2000 at most.',
  },
} as const;
