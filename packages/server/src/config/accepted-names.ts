/**
 * Names of the original that are accepted in a file and mean nothing here, or not yet: whole sections end in a dot.
 * A file made for the original must be usable as it is.
 */
export const ACCEPTED_WITHOUT_EFFECT: readonly string[] = [
  'server.workers',
  'server.api_version',
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
  'execution.sql_plan_cache_max_entries',
  'execution.sql_plan_cache_ttl_seconds',
  'manifest_cache.',
  'shutdown.',
  'cluster.',
  'rpc_tls.',
  'topics.',
  'user_management.',
  'files.',
  'limits.max_message_size',
  'logging.logs_path',
  'logging.file_path',
  'logging.targets.',
  'logging.otlp.',
  'performance.worker_max_blocking_threads',
  'performance.tokio_worker_threads',
  'performance.client_request_timeout',
  'performance.client_disconnect_timeout',
  'rate_limit.cache_max_entries',
  'rate_limit.cache_ttl_seconds',
  'auth.enabled',
  'auth.local.',
  'auth.pg_auth_token',
  'auth.disable_common_password_check',
  'oauth.',
];

/** Names of the original for settings that have another name here. */
export const OTHER_NAMES: Readonly<Record<string, string>> = {
  'security.max_request_body_size': 'rate_limit.request_body_limit_bytes',
};

/** Variables that begin with `KALAMDB_` and are no settings: whole groups end in an underscore. */
export const ACCEPTED_VARIABLES: readonly string[] = [
  'KALAMDB_BUILD_DATE',
  'KALAMDB_SERVER_WORKERS',
  'KALAMDB_TOKIO_WORKER_THREADS',
  'KALAMDB_LOGS_DIR',
  'KALAMDB_LOG_FILE',
  'KALAMDB_TOPIC_VISIBILITY_TIMEOUT_SECS',
  'KALAMDB_VISIBILITY_TIMEOUT_SECS',
  'KALAMDB_CLUSTER_',
  'KALAMDB_OTLP_',
  'KALAMDB_BENCH_',
  'KALAMDB_MODEL_',
  'KALAMDB_TEST_',
];

/** Whether a name is one of a list, or stands in a group of it. */
export function isListed(name: string, names: readonly string[]): boolean {
  return names.some((known) => (/[._]$/.test(known) ? name.startsWith(known) : name === known));
}
