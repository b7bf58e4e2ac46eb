import { once } from 'node:events';
import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../../server.ts';
import { RawConnection, rootToken, startTestServer } from '../wire-client.fixture.ts';

let server: RunningServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer({ 'security.cors.allowed_origins': ['https://a.example'], 'rate_limit.request_body_limit_bytes': 4096 });
  token = await rootToken(server.url);
});

afterAll(() => server.close());

interface Answer {
  readonly status: number;
  /** Without the time it took. */
  readonly body: string;
}

/** Sends a body in pieces, with a stated length or chunked. */
async function post(pieces: readonly Uint8Array[], headers: Record<string, string | number>): Promise<Answer> {
  const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
  const asked = request(`${server.url}/v1/api/sql`, { method: 'POST', headers: all });
  asked.flushHeaders();
  for (const piece of pieces) {
    asked.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  asked.end();
  const [response] = await once(asked, 'response');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, body: text.replace(/"took":[\d.]+/, '"took":0') };
}

const withLength = (body: Uint8Array): Record<string, number> => ({ 'content-length': body.length });

describe('the body of a SQL request', () => {
  test('may come in any pieces', async () => {
    const body = Buffer.from(JSON.stringify({ sql: "SELECT 'näher 🌍' AS text" }));
    const whole = await post([body], withLength(body));
    expect(whole.body).toContain('näher 🌍');
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: body.length - 1 }), { maxLength: 4 });
    const property = fc.asyncProperty(cuts, async (places) => {
      const ends = [...places.sort((a, b) => a - b), body.length];
      const pieces = ends.map((end, i) => body.subarray(ends[i - 1] ?? 0, end));
      expect(await post(pieces, withLength(body))).toEqual(whole);
    });
    await fc.assert(property, { numRuns: 25 });
  });

  test.each([
    ['a statement', '{"sql":"SELECT 1 AS one"}'],
    ['a statement with parameters', '{"sql":"SELECT $1 AS one","params":[9007199254740993]}'],
    ['a statement that fails', '{"sql":"SELECT * FROM nowhere.t"}'],
    ['no object', '[1]'],
    ['no JSON', '{"sql":'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['nothing', ''],
  ])('means the same with and without a stated length and a plain type: %s', async (_what, text) => {
    const body = Buffer.from(text);
    const plain = await post([body], withLength(body));
    expect(await post([body], {})).toEqual(plain);
    expect(await post([body], { ...withLength(body), 'content-type': 'application/json; charset=utf-8' })).toEqual(plain);
  });

  test('has a bound on every road', async () => {
    const body = Buffer.from(JSON.stringify({ sql: `SELECT '${'x'.repeat(5000)}'` }));
    const answers = [await post([body], withLength(body)), await post([body], {})];
    expect(answers.map(({ status }) => status)).toEqual([413, 413]);
  });

  test('of a client that leaves on the way harms nobody', async () => {
    const connection = new RawConnection(server);
    const head = `POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`;
    connection.socket.write(`${head}Content-Length: 1000\r\n\r\n{"sql":`);
    connection.socket.destroy();
    const body = Buffer.from('{"sql":"SELECT 1 AS one"}');
    expect((await post([body], withLength(body))).status).toBe(200);
  });
});

describe('a page of another origin', () => {
  const allowed = async (origin: string, authorization: string): Promise<readonly unknown[]> => {
    const headers = { authorization, origin, 'content-type': 'application/json' };
    const response = await fetch(`${server.url}/v1/api/sql`, { method: 'POST', headers, body: '{"sql":"SELECT 1"}' });
    return [response.status, response.headers.get('access-control-allow-origin'), response.headers.get('vary')];
  };

  test('reads answers and refusals if it is allowed', async () => {
    expect(await allowed('https://a.example', `Bearer ${token}`)).toEqual([200, 'https://a.example', 'Origin']);
    expect(await allowed('https://a.example', 'Bearer wrong')).toEqual([401, 'https://a.example', 'Origin']);
  });

  test('reads neither if it is not', async () => {
    expect(await allowed('https://b.example', `Bearer ${token}`)).toEqual([200, null, 'Origin']);
  });
});
