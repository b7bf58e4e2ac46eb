import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningServer } from '../../server.ts';
import { RawConnection, rootToken, sqlRequest, startTestServer } from '../wire-client.fixture.ts';

/** What curl --http2 and the HTTP client of Java say on each new connection. */
const WISH = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';

describe.each([true, false])('a request that wants to upgrade to HTTP/2 (server.enable_http2 = %s)', (enabled) => {
  let server: RunningServer;
  let token: string;

  beforeAll(async () => {
    server = await startTestServer({ 'server.enable_http2': enabled });
    token = await rootToken(server.url);
  });

  afterAll(() => server.close());

  test('is answered by HTTP/1.1, and so are those behind it on its connection', async () => {
    const connection = new RawConnection(server);
    await connection.write(sqlRequest(token, 'SELECT 1 AS one', WISH));
    await connection.until(/^HTTP\/1\.1 200 [\s\S]*\[\["1"\]\]/);
    await connection.write(sqlRequest(token, 'SELECT 2 AS two'), sqlRequest(token, 'SELECT 3 AS three', WISH));
    await connection.until(/\[\["2"\]\][\s\S]*\[\["3"\]\]/);
    connection.close();
  });

  test('may send its body later, in pieces', async () => {
    const text = sqlRequest(token, 'SELECT 4 AS four', WISH);
    const connection = new RawConnection(server);
    const at = text.indexOf('\r\n\r\n') + 4;
    await connection.write(text.slice(0, at), text.slice(at, at + 5), text.slice(at + 5));
    await connection.until(/^HTTP\/1\.1 200 [\s\S]*\[\["4"\]\]/);
    connection.close();
  });

  test('for WebSocket elsewhere than at its path is still refused', async () => {
    const connection = new RawConnection(server);
    await connection.write('GET /v1/other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n');
    await connection.ended;
    expect(connection.text).toMatch(/^HTTP\/1\.1 404 /);
  });
});
