import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { type ClientHttp2Stream, constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunningServer } from '../../server.ts';
import { openHttp2, RawConnection, rootToken, sqlRequest, startTestServer } from '../wire-client.fixture.ts';

const ROWS = 40_000;
const INSERT_ROWS = 4000;
/** Goes to the thread and comes in many parts. */
const ALL = 'SELECT * FROM app.big';
/** Many parts, and seconds of work for all of them. */
const SLOW = "SELECT id, REPEAT(name, 30) FROM app.big WHERE REPEAT(name, 2000) NOT LIKE '%zz%'";
/** Fails when most of its rows are there. */
const FAILING = `SELECT id, REPEAT(name, 20), 10 / (id - ${ROWS - 10}) FROM app.big`;

/** It takes some milliseconds; the machine may be busy with other tests. */
const LEAVING_MILLIS_MAX = 1000;

const folder = mkdtempSync(join(tmpdir(), 'kalamdb-long-answers-'));
const logged: string[] = [];
let server: RunningServer;
let token: string;

beforeAll(async () => {
  const sink = new Writable({
    write(line: Buffer, _encoding, done) {
      logged.push(line.toString());
      done();
    },
  });
  server = await startTestServer({ 'storage.data_path': folder }, { log: pino({ level: 'warn' }, sink) });
  token = await rootToken(server.url);
  await text('CREATE NAMESPACE app');
  await text("CREATE TABLE app.big (id INT PRIMARY KEY, name TEXT, data BYTES) WITH (TYPE='USER')");
  for (let from = 0; from < ROWS; from += INSERT_ROWS) {
    const values = Array.from({ length: INSERT_ROWS }, (_, i) => `(${from + i}, 'name "${from + i}"', NULL)`);
    await text(`INSERT INTO app.big VALUES ${values.join(',')}`);
    await text(`EXECUTE AS USER 'ann' (INSERT INTO app.big VALUES ${values.join(',')})`);
  }
  await text('CREATE VIEW app.odd AS SELECT id, name FROM app.big WHERE id % 2 = 1');
}, 60_000);

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function ask(sql: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
  const asked = request(`${server.url}/v1/api/sql`, { method: 'POST', headers: all });
  asked.end(JSON.stringify({ sql }));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return response;
}

async function bytesOf(response: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function text(sql: string): Promise<string> {
  return (await bytesOf(await ask(sql))).toString();
}

/** A body without the time it took. */
const timeless = (body: string): string => body.replace(/"took":[\d.]+/, '"took":0');

/** Compares texts of megabytes; what they differ in would be shown for minutes. */
function expectSame(found: string, expected: string): void {
  if (found !== expected) expect(`${found.length}: ${found.slice(0, 300)}`).toBe(`${expected.length}: ${expected.slice(0, 300)}`);
  expect(found === expected).toBe(true);
}

/** The result of a statement that may not be a stream, as it stands in the body. */
async function held(sql: string): Promise<string> {
  const [, result] =
    /^\{"status":"success","results":\[\{[^{}]*\},(\{.*\}),\{[^{}]*\}\],"took":[\d.]+\}$/s.exec(await text(`BEGIN; ${sql}; COMMIT`)) ?? [];
  return result ?? 'none';
}

/** How reading an answer ends: with the message of an error, or with its end. */
async function endOf(response: AsyncIterable<unknown>): Promise<string> {
  return bytesOf(response).then(
    () => 'its end',
    (error: Error) => error.message,
  );
}

function http2Request(session: Awaited<ReturnType<typeof openHttp2>>, sql: string, extra: Record<string, string> = {}): ClientHttp2Stream {
  const headers = { ':method': 'POST', ':path': '/v1/api/sql', authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const stream = session.request({ ...headers, ...extra });
  stream.end(JSON.stringify({ sql }));
  return stream;
}

async function statements(outcome: 'failed' | 'ok'): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  const counts = metrics.matchAll(
    new RegExp(`^kalamdb_statement_duration_seconds_count\\{[^}]*outcome="${outcome}"[^}]*\\} (\\d+)$`, 'gm'),
  );
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

describe('an answer that is made while it is read', () => {
  test.each([
    ALL,
    'SELECT id FROM app.big ORDER BY name DESC',
    'SELECT DISTINCT id % 30000 FROM app.big',
    'SELECT name, COUNT(*) FROM app.big GROUP BY name',
    'SELECT * FROM app.odd',
    'SELECT name FROM app.odd ORDER BY id DESC LIMIT 15000 OFFSET 3',
    'SELECT id FROM app.big LIMIT 35000 OFFSET 10',
    "EXECUTE AS USER 'ann' (SELECT id, name FROM app.big)",
  ])('is the very text that it would be if it were held: %s', async (sql) => {
    const body = timeless(await text(sql));
    expectSame(body, `{"status":"success","results":[${await held(sql)}],"took":0,"error":null}`);
  });

  test('is the same compressed, over HTTP/2 and at the end of a batch', async () => {
    const body = timeless(await text(ALL));
    const compressed = await ask(ALL, { 'accept-encoding': 'gzip' });
    expect(compressed.headers['content-encoding']).toBe('gzip');
    expectSame(timeless(gunzipSync(await bytesOf(compressed)).toString()), body);
    const session = await openHttp2(server.url);
    expectSame(timeless((await bytesOf(http2Request(session, ALL))).toString()), body);
    session.close();
    const result = body.slice(body.indexOf('[{') + 1, body.lastIndexOf('],"took"'));
    const batch = timeless(await text(`SELECT 1 AS one; ${ALL}`));
    expect(batch.endsWith(`,${result}],"took":0}`)).toBe(true);
  });

  test('is of one moment, however slowly it is read', async () => {
    const response = await ask('SELECT id, name, REPEAT(name, 20) FROM app.big');
    response.pause();
    await text("UPDATE app.big SET name = 'changed' WHERE id > 39000");
    const { results } = JSON.parse((await bytesOf(response)).toString()) as { results: [{ rows: [number, string][] }] };
    expect(results[0].rows.every(([id, name], index) => id === index && name === `name "${id}"`)).toBe(true);
    await text(`UPDATE app.big SET name = 'name "' || CAST(id AS TEXT) || '"' WHERE id > 39000`);
    expect(readdirSync(join(folder, 'spool'))).toEqual([]);
  });

  test('is counted and timed when it was read', async () => {
    const before = await statements('ok');
    await text(ALL);
    expect(await statements('ok')).toBe(before + 1);
    const explained = await text(`EXPLAIN ANALYZE ${ALL}`);
    expect(explained).toContain(`rows=${ROWS}`);
  });
});

describe('an answer that cannot be made to its end', () => {
  test('has no end that a client could take for one, whatever carries it, and is logged', async () => {
    const plain = await ask(FAILING);
    expect(plain.statusCode).toBe(200);
    expect(await endOf(plain)).toBe('aborted');
    expect(await endOf(await ask(FAILING, { 'accept-encoding': 'gzip' }))).toBe('aborted');
    const session = await openHttp2(server.url);
    expect(await endOf(http2Request(session, FAILING))).toContain('NGHTTP2_INTERNAL_ERROR');
    const compressed = http2Request(session, FAILING, { 'accept-encoding': 'gzip' });
    expect(await endOf(compressed)).toContain('NGHTTP2_INTERNAL_ERROR');
    session.close();
    expect(logged.filter((line) => line.includes('an answer was cut off') && line.includes('Divide by zero'))).toHaveLength(4);
  });

  test('is an error as any other as long as nothing was sent', async () => {
    const response = await ask('SELECT id, 10 / (id - 30000) FROM app.big WHERE id = 30000 OR REPEAT(name, 10) IS NULL');
    expect(response.statusCode).toBe(400);
    expect((await bytesOf(response)).toString()).toContain('Statement 1 failed');
  });
});

describe('a client that goes away', () => {
  /** Milliseconds until the statement has ended; the thread answers the next one then. */
  async function ends(leave: () => void): Promise<number> {
    const failed = await statements('failed');
    const start = performance.now();
    leave();
    await vi.waitFor(async () => expect(await statements('failed')).toBe(failed + 1), { interval: 2, timeout: 5000 });
    const millis = performance.now() - start;
    expect(await text("SELECT COUNT(*) FROM app.big WHERE name <> ''")).toContain(`[["${ROWS}"]]`);
    return millis;
  }

  test('stops its query over HTTP/1.1, while it is looked for and while it is read', async () => {
    const searching = new RawConnection(server);
    await searching.write(sqlRequest(token, SLOW.replace('NOT LIKE', 'LIKE')));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await ends(() => searching.close())).toBeLessThan(LEAVING_MILLIS_MAX);
    const reading = new RawConnection(server);
    await reading.write(sqlRequest(token, SLOW));
    await reading.until(/"rows":/);
    expect(await ends(() => reading.close())).toBeLessThan(LEAVING_MILLIS_MAX);
  });

  test('stops its query over HTTP/2', async () => {
    const session = await openHttp2(server.url);
    const stream = http2Request(session, SLOW);
    stream.on('error', () => {});
    await once(stream, 'data');
    expect(await ends(() => stream.close(constants.NGHTTP2_CANCEL))).toBeLessThan(LEAVING_MILLIS_MAX);
    session.close();
  });
});
