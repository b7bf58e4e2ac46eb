import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../../server.ts';
import { openHttp2, RawConnection, rootToken, sqlRequest, startTestServer } from '../wire-client.fixture.ts';

const ROWS = 120_000;
const INSERT_ROWS = 2000;

let server: RunningServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer();
  token = await rootToken(server.url);
  await read(await ask('CREATE NAMESPACE app'));
  await read(await ask('CREATE TABLE app.big (id INT PRIMARY KEY, name TEXT)'));
  for (let from = 0; from < ROWS; from += INSERT_ROWS) {
    const values = Array.from({ length: INSERT_ROWS }, (_, i) => `(${from + i}, 'name ${from + i}')`);
    const { body } = await read(await ask(`INSERT INTO app.big VALUES ${values.join(',')}`));
    expect(body).toContain(`Inserted ${INSERT_ROWS}`);
  }
});

afterAll(() => server.close());

/** Asks; resolves when the head of the answer is there. */
async function ask(sql: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
  const asked = request(`${server.url}/v1/api/sql`, { method: 'POST', headers: all });
  asked.end(JSON.stringify({ sql }));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return response;
}

async function read(response: IncomingMessage): Promise<{ readonly bytes: Buffer; readonly body: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  return { bytes, body: bytes.toString() };
}

interface Answer {
  readonly results: readonly [{ readonly rows: readonly (readonly unknown[])[]; readonly row_count: number }];
}

describe('a long answer', () => {
  test('is chunked, whole and in order', async () => {
    const response = await ask('SELECT id, name FROM app.big');
    expect(response.headers['transfer-encoding']).toBe('chunked');
    const { rows, row_count: count } = (JSON.parse((await read(response)).body) as Answer).results[0];
    expect([count, rows.length]).toEqual([ROWS, ROWS]);
    expect(rows.every((row, i) => row[0] === i && row[1] === `name ${i}`)).toBe(true);
  });

  test('is the same over HTTP/2', async () => {
    const session = await openHttp2(server.url);
    const headers = { ':method': 'POST', ':path': '/v1/api/sql', authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const stream = session.request(headers);
    stream.end(JSON.stringify({ sql: 'SELECT id, name FROM app.big' }));
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    expect((JSON.parse(text) as Answer).results[0].rows.length).toBe(ROWS);
    session.close();
  });

  test('waits for a slow reader, and everybody else is served meanwhile', async () => {
    const response = await ask('SELECT id, name FROM app.big');
    response.pause();
    const { body } = await read(await ask('SELECT 1 AS one'));
    expect(body).toContain('"rows":[["1"]]');
    expect((JSON.parse((await read(response)).body) as Answer).results[0].rows.length).toBe(ROWS);
  });

  test('is given up when its reader goes away', async () => {
    for (let i = 0; i < 5; i++) {
      const connection = new RawConnection(server);
      await connection.write(sqlRequest(token, 'SELECT id, name FROM app.big'));
      await connection.until(/"rows":/);
      connection.close();
    }
    expect((await read(await ask('SELECT 1 AS one'))).body).toContain('"status":"success"');
  });

  test('is not even looked for to the end when its reader goes away', async () => {
    const failures = async (): Promise<number> => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/^kalamdb_statement_duration_seconds_count\{[^}]*outcome="failed"[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0);
    };
    const before = await failures();
    const connection = new RawConnection(server);
    await connection.write(sqlRequest(token, "SELECT name, COUNT(*) AS n FROM app.big WHERE name LIKE '%9%8%' GROUP BY name ORDER BY n"));
    connection.close();
    while ((await failures()) === before) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('compression', () => {
  test.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
  ] as const)('%s of a long answer on its way', async (encoding, inflate) => {
    const response = await ask('SELECT id, name FROM app.big', { 'accept-encoding': encoding });
    expect([response.headers['content-encoding'], response.headers.vary]).toEqual([encoding, 'Origin, Accept-Encoding']);
    const { bytes } = await read(response);
    const text = inflate(bytes).toString();
    expect((JSON.parse(text) as Answer).results[0].rows.length).toBe(ROWS);
    expect(bytes.length).toBeLessThan(text.length / 3);
  });

  test('of an answer that is whole, with its length', async () => {
    const response = await ask('SELECT id, name FROM app.big LIMIT 1500', { 'accept-encoding': 'gzip', origin: 'http://app.example' });
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(response.headers.vary).toBe('Origin, Accept-Encoding');
    const { bytes } = await read(response);
    expect(response.headers['content-length']).toBe(String(bytes.length));
    expect((JSON.parse(gunzipSync(bytes).toString()) as Answer).results[0].rows.length).toBe(1500);
  });

  test('never of a small answer, nor for a client that does not ask', async () => {
    const small = await ask('SELECT 1 AS one', { 'accept-encoding': 'gzip' });
    expect([small.headers['content-encoding'], small.headers.vary]).toEqual([undefined, 'Origin']);
    expect(small.headers['content-length']).toBeDefined();
    await read(small);
    const large = await ask('SELECT id, name FROM app.big LIMIT 1500');
    expect([large.headers['content-encoding'], large.headers.vary]).toEqual([undefined, 'Origin, Accept-Encoding']);
    expect((await read(large)).body).toContain('"status":"success"');
  });

  test('can be switched off', async () => {
    const plain = await startTestServer({ 'server.compression': false });
    const secret = await rootToken(plain.url);
    const connection = new RawConnection(plain);
    await connection.write(sqlRequest(secret, `SELECT '${'x'.repeat(30_000)}' AS x`, 'Accept-Encoding: gzip\r\n'));
    expect(await connection.until(/"error":null\}/)).not.toMatch(/content-encoding|accept-encoding/i);
    connection.close();
    await plain.close();
  });
});
