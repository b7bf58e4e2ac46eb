import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { loadConfig } from '../config/load-config.ts';
import { createLog } from '../log/log.ts';
import { type RunningServer, startServer } from '../server.ts';

const PASSWORD = 'metrics-password';

let server: RunningServer;
let token: string;

beforeAll(async () => {
  const settings = {
    'server.port': 0,
    'storage.data_path': ':memory:',
    'auth.root_password': PASSWORD,
    'auth.bcrypt_cost': 4,
    'rate_limit.max_queries_per_sec': 40,
    'security.trusted_proxy_ranges': ['127.0.0.1'],
    'logging.slow_query_threshold_ms': 1,
    'logging.log_to_console': false,
  } as const;
  const { logger, recent } = createLog(loadConfig({ overrides: settings }).config);
  server = await startServer({ settings, log: logger, recentLines: recent });
  token = await login('root');
});

afterAll(() => server.close());

async function login(user: string): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ user, password: PASSWORD });
  const answer = await fetch(`${server.url}/v1/api/auth/login`, { method: 'POST', headers, body });
  return ((await answer.json()) as { access_token: string }).access_token;
}

interface Answered {
  readonly status: number;
  readonly requestId: string | null;
  readonly rows: readonly (readonly string[])[];
}

async function sql(text: string, { as = token, requestId }: { as?: string; requestId?: string } = {}): Promise<Answered> {
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${as}`,
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
  };
  const answer = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers, body: JSON.stringify({ sql: text }) });
  const body = (await answer.json()) as { results: readonly { rows?: readonly (readonly string[])[] }[] };
  return { status: answer.status, requestId: answer.headers.get('x-request-id'), rows: body.results[0]?.rows ?? [] };
}

/** The samples of `/metrics`, by name and labels. */
async function metrics(): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

describe('/metrics', () => {
  it('tells what was asked and answered', async () => {
    const before = await metrics();
    await sql('CREATE TABLE counted (id INT PRIMARY KEY)');
    await sql('INSERT INTO counted VALUES (1)');
    await sql('SELECT * FROM counted');
    await sql('SELECT * FROM nowhere');
    const after = await metrics();
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(grown('kalamdb_http_requests_total{route="POST /v1/api/sql",status="200"}')).toBe(3);
    expect(grown('kalamdb_http_requests_total{route="POST /v1/api/sql",status="400"}')).toBe(1);
    expect(grown('kalamdb_http_requests_total{route="GET /metrics",status="200"}')).toBe(1);
    expect(grown('kalamdb_statement_duration_seconds_count{outcome="ok"}')).toBe(3);
    expect(grown('kalamdb_statement_duration_seconds_count{outcome="failed"}')).toBe(1);
    expect(grown('kalamdb_statement_duration_seconds_bucket{outcome="ok",le="+Inf"}')).toBe(3);
    expect(grown('kalamdb_commits_total')).toBe(2);
    expect(grown('kalamdb_commit_group_size_count')).toBe(2);
    for (const name of [
      'kalamdb_hot_tier_lag_seconds',
      'kalamdb_overlay_bytes',
      'kalamdb_tail_bytes',
      'kalamdb_row_cache_bytes',
      'kalamdb_row_cache_hits_total',
      'kalamdb_event_loop_longest_block_seconds',
      'kalamdb_subscriptions',
      'kalamdb_outbox_bytes',
      'kalamdb_catch_ups_total{kind="exact"}',
      'process_resident_memory_bytes',
    ]) {
      expect(after.get(name), name).toBeGreaterThanOrEqual(0);
    }
  });

  it('has no labels that grow with users, requests or texts', async () => {
    for (let i = 0; i < 20; i++) await fetch(`${server.url}/no/such/route/${i}`);
    const names = [...(await metrics()).keys()].filter((name) => name.startsWith('kalamdb_http'));
    expect(names.filter((name) => name.includes('"none"'))).toEqual(['kalamdb_http_requests_total{route="none",status="404"}']);
    expect(names.length).toBeLessThan(60);
  });

  it('counts WebSockets while they are open', async () => {
    const webSocket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/ws`, { headers: { authorization: `Bearer ${token}` } });
    await new Promise((resolve) => webSocket.once('message', resolve));
    expect((await metrics()).get('kalamdb_websocket_connections')).toBe(1);
    webSocket.terminate();
  });

  it('answers this machine only', async () => {
    const remote = await fetch(`${server.url}/metrics`, { headers: { 'x-forwarded-for': '203.0.113.7' } });
    expect(remote.status).toBe(403);
    expect(await remote.json()).toEqual({ error: 'Access denied. Metrics are localhost-only.' });
  });
});

describe('what the server shows about itself', () => {
  it('is for admins', async () => {
    await sql(`CREATE USER 'ada' WITH PASSWORD '${PASSWORD}' ROLE user`);
    const ada = await login('ada');
    for (const view of ['settings', 'stats', 'server_logs', 'cluster']) {
      expect((await sql(`SELECT * FROM system.${view}`)).rows.length, view).toBeGreaterThan(0);
      expect((await sql(`SELECT * FROM system.${view}`, { as: ada })).status, view).not.toBe(200);
    }
  });

  it('has the log, with the slow statements and whose they were', async () => {
    await sql("INSERT INTO counted VALUES (5000 + (SELECT 1)), ('planted')", { requestId: 'order-17' });
    await sql(`SELECT ${Array.from({ length: 2000 }, (_unused, n) => `'planted${n}' AS c${n}`).join(', ')}`, { requestId: 'order-18' });
    const { rows } = await sql('SELECT level, target, message FROM system.server_logs ORDER BY line');
    const own = rows.filter(([, target]) => target === 'order-18');
    expect(own).toHaveLength(1);
    expect(own[0]?.[0]).toBe('WARN');
    expect(own[0]?.[2]).toMatch(/^slow statement request=order-18 user=root millis=\d+ rows=1 statement=SELECT \? AS c0, \? AS c1/);
    expect(JSON.stringify(rows)).not.toContain('planted');
  });

  it('has the figures that programs look for', async () => {
    await sql('CREATE NAMESPACE brief');
    await sql('CREATE SHARED TABLE brief.t (id INT PRIMARY KEY)');
    await sql('DROP TABLE brief.t');
    const { rows } = await sql('SELECT metric_name, metric_value FROM system.stats');
    const { rows: jobs } = await sql('SELECT job_id FROM system.jobs');
    const stats = new Map(rows.map(([name, value]) => [name, value]));
    expect(stats.size).toBe(rows.length);
    expect(stats.get('max_connections')).toBe('125000');
    expect([Number(stats.get('total_jobs')), jobs.length > 0]).toEqual([jobs.length, true]);
    expect(Number(stats.get('memory_rss_mb'))).toBeGreaterThan(10);
    expect(Number(stats.get('active_connections'))).toBeGreaterThan(0);
    const { rows: settings } = await sql("SELECT name, value FROM system.settings WHERE category = 'auth' ORDER BY name");
    expect(settings).toContainEqual(['auth.root_password', '***']);
  });

  it('a request keeps the name that its client gave it', async () => {
    expect((await sql('SELECT 1', { requestId: 'order-19' })).requestId).toBe('order-19');
    expect((await sql('SELECT 1')).requestId).toBeNull();
  });
});

describe('refusals', () => {
  it('are counted by the limit that refused', async () => {
    await Promise.all(Array.from({ length: 60 }, () => sql('SELECT 1')));
    expect((await metrics()).get('kalamdb_rate_limit_refusals_total{limit="queries"}')).toBeGreaterThan(0);
  });
});
