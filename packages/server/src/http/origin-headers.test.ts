import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { ServerConfig } from '../config/settings.ts';
import { startServer } from '../server.ts';

const PREFLIGHT = {
  origin: 'https://a.example',
  'access-control-request-method': 'POST',
  'access-control-request-private-network': 'true',
};

async function headersOf(settings: Partial<ServerConfig>): Promise<{ preflight: Headers; sql: Headers; health: Headers }> {
  const all = { 'server.port': 0, 'storage.data_path': ':memory:', ...settings } as const;
  const server = await startServer({ settings: all, log: pino({ level: 'silent' }) });
  try {
    const preflight = await fetch(`${server.url}/v1/api/sql`, { method: 'OPTIONS', headers: PREFLIGHT });
    const sql = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers: PREFLIGHT, body: '{}' });
    const health = await fetch(`${server.url}/health`, { headers: PREFLIGHT });
    return { preflight: preflight.headers, sql: sql.headers, health: health.headers };
  } finally {
    await server.close();
  }
}

test('pages read the headers that are exposed, and reach a private network when they may', async () => {
  const { preflight, sql, health } = await headersOf({
    'security.cors.expose_headers': ['X-Request-Id', 'X-Other'],
    'security.cors.allow_private_network': true,
  });
  expect(preflight.get('access-control-allow-private-network')).toBe('true');
  for (const headers of [sql, health]) expect(headers.get('access-control-expose-headers')).toBe('X-Request-Id, X-Other');
});

test('neither is so unless it is set', async () => {
  const { preflight, sql, health } = await headersOf({});
  expect(preflight.get('access-control-allow-private-network')).toBeNull();
  for (const headers of [sql, health]) expect(headers.get('access-control-expose-headers')).toBeNull();
});
