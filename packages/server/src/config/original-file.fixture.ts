/** A file with every section and every key that KalamDB 0.4.3 documents, at values of its own. */
export const ORIGINAL_FILE = `
transaction_timeout_secs = 120
max_transaction_buffer_bytes = 52428800

[server]
host = "127.0.0.1"
port = 8080
public_origin = ""
workers = 4
enable_http2 = true
api_version = "v1"
ui_path = "./ui"

[storage]
data_path = "./data"
shared_tables_template = "{namespace}/{tableName}"
user_tables_template = "{namespace}/{tableName}/{userId}"

[storage.remote_timeouts]
request_timeout_secs = 60
connect_timeout_secs = 10

[storage.rocksdb]
block_cache_size = 2097152
max_background_jobs = 4
sync_writes = false

[storage.rocksdb.cf_profiles.hot_data]
write_buffer_size = 131072

[datafusion]
memory_limit = 67108864
query_parallelism = 2
max_partitions = 4
batch_size = 1024

[flush]
default_row_limit = 10000
default_time_interval = 300
check_interval_seconds = 60

[retention]
default_deleted_retention_hours = 168
enable_dba_stats = true
dba_stats_retention_days = 7

[stream]
default_ttl_seconds = 10
default_max_buffer = 10000
eviction_interval_seconds = 60

[manifest_cache]
eviction_interval_seconds = 300
max_entries = 500
eviction_ttl_days = 7
user_table_weight_factor = 10

[limits]
max_message_size = 1048576
max_query_limit = 1000
default_query_limit = 50

[logging]
level = "info"
logs_path = "./logs"
log_to_console = true
format = "compact"
slow_query_threshold_ms = 1000

[logging.otlp]
enabled = false
endpoint = "http://127.0.0.1:4317"

[logging.targets]
http = "warn"

[performance]
request_timeout = 30
keepalive_timeout = 75
max_connections = 25000
backlog = 4096
worker_max_blocking_threads = 32
tokio_worker_threads = 0
client_request_timeout = 5
client_disconnect_timeout = 2
max_header_size = 16384

[rate_limit]
max_queries_per_sec = 100
max_messages_per_sec = 50
max_subscriptions_per_user = 10
max_auth_requests_per_ip_per_sec = 20
max_connections_per_ip = 100
max_requests_per_ip_per_sec = 200
request_body_limit_bytes = 10485760
ban_duration_seconds = 300
enable_connection_protection = true
cache_max_entries = 1000
cache_ttl_seconds = 600

[security]
max_request_body_size = 10485760
max_ws_message_size = 1048576
strict_ws_origin_check = false
trusted_proxy_ranges = []

[security.cors]
allowed_origins = ["http://localhost:5173"]
allowed_methods = ["GET", "POST"]
allowed_headers = ["Authorization", "Content-Type"]
expose_headers = []
allow_credentials = true
max_age = 3600
allow_private_network = false

[websocket]
client_timeout_secs = 10
auth_timeout_secs = 3
heartbeat_interval_secs = 5

[authentication]
bcrypt_cost = 12
min_password_length = 8
max_password_length = 72
enforce_password_complexity = false
disable_common_password_check = false
jwt_secret = "a-secret-with-more-than-32-characters-in-it"
jwt_expiry_hours = 24
jwt_trusted_issuers = "https://accounts.example.com, https://login.example.com"
cookie_secure = true
allow_remote_setup = false
auto_create_users_from_provider = false

[oauth.providers.example]
enabled = true
issuer = "https://accounts.example.com"

[user_management]
deletion_grace_period_days = 30
cleanup_job_schedule = "0 2 * * *"

[files]
max_size_bytes = 26214400
max_files_per_request = 20

[shutdown.flush]
timeout = 300

[jobs]
max_concurrent = 10
max_retries = 3
retry_backoff_ms = 100

[execution]
handler_timeout_seconds = 30
max_parameters = 50
max_parameter_size_bytes = 524288
sql_plan_cache_max_entries = 200
sql_plan_cache_ttl_seconds = 900

[topics]
visibility_timeout_secs = 60

[rpc_tls]
enabled = false

[cluster]
cluster_id = "one"
node_id = 1

[[cluster.peers]]
node_id = 2
`;
