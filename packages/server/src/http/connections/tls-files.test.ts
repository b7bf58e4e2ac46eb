import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { systemClock, systemTimers, type Timers } from '@kalamdb/protocol';
import { VirtualTime } from '@kalamdb/testing';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningServer } from '../../server.ts';
import { openHttp2, RawConnection, ROOT_PASSWORD, requestHttp2, startTestServer } from '../wire-client.fixture.ts';
import { type TestCertificate, testCertificate } from './test-certificate.fixture.ts';
import { readTls, TlsFiles } from './tls-files.ts';

const DAY_MILLIS = 86_400_000;
const folder = mkdtempSync(join(tmpdir(), 'kalamdb-tls-'));
const paths = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
const settings = { 'server.tls_cert_file': paths.cert, 'server.tls_key_file': paths.key };

afterAll(() => rmSync(folder, { recursive: true }));

function write({ cert, key }: TestCertificate): void {
  writeFileSync(paths.cert, cert);
  writeFileSync(paths.key, key);
}

function valid(days = 90): TestCertificate {
  const now = systemClock.now();
  return testCertificate(new Date(now - DAY_MILLIS), new Date(now + days * DAY_MILLIS));
}

async function handshake(server: RunningServer, ca: string, protocols: string[]): Promise<TLSSocket> {
  const socket = connect({ port: server.port, host: '127.0.0.1', servername: 'localhost', ca, ALPNProtocols: protocols });
  await once(socket, 'secureConnect');
  return socket;
}

function login(url: string, ca: string): Promise<{ readonly cookies: readonly string[]; readonly token: string }> {
  return openHttp2(url, { ca }).then(async (session) => {
    const headers = { ':method': 'POST', ':path': '/v1/api/auth/login', 'content-type': 'application/json' };
    const answer = await requestHttp2(session, headers, JSON.stringify({ user: 'root', password: ROOT_PASSWORD }));
    session.close();
    const { access_token: token } = JSON.parse(answer.body) as { readonly access_token: string };
    return { cookies: answer.headers['set-cookie'] as readonly string[], token };
  });
}

describe('a server with a certificate', () => {
  let server: RunningServer;
  const time = new VirtualTime(systemClock.now());
  // Only the timers are the test's: the clock goes on, so that nobody is kept waiting.
  const timers: Timers = { after: systemTimers.after, soon: systemTimers.soon, every: (millis, callback) => time.every(millis, callback) };
  let certificate: TestCertificate;

  beforeAll(async () => {
    certificate = valid();
    write(certificate);
    server = await startTestServer(settings, { timers });
  });

  afterAll(() => server.close());

  test('speaks HTTP/1.1 and HTTP/2, as the client negotiates', async () => {
    expect(server.url).toBe(`https://127.0.0.1:${server.port}`);
    const request = get({ port: server.port, host: '127.0.0.1', path: '/health', ca: certificate.cert });
    const [response] = await once(request, 'response');
    expect([response.statusCode, response.httpVersion]).toEqual([200, '1.1']);
    response.resume();
    const session = await openHttp2(server.url, { ca: certificate.cert });
    expect(session.alpnProtocol).toBe('h2');
    expect((await requestHttp2(session, { ':path': '/health' })).status).toBe(200);
    session.close();
  });

  test('marks cookies Secure and serves WebSockets', async () => {
    const { cookies, token } = await login(server.url, certificate.cert);
    for (const cookie of cookies) expect(cookie).toMatch(/; Secure/);
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`${server.url.replace('https', 'wss')}/v1/ws`, { headers, ca: certificate.cert });
    const [frame] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(frame.toString())).toMatchObject({ type: 'auth_success', user: 'root' });
    socket.close();
  });

  test('passes over the wish to upgrade to HTTP/2 without negotiation', async () => {
    const socket = await handshake(server, certificate.cert, ['http/1.1']);
    for (let i = 0; i < 2; i++) {
      socket.write('GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString('latin1')).toMatch(/^HTTP\/1\.1 200 /);
    }
    socket.destroy();
  });

  test('does not answer what is no TLS, and goes on', async () => {
    const connection = new RawConnection(server);
    await connection.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.ended;
    expect(connection.text).not.toContain('HTTP/1.1 200');
    (await handshake(server, certificate.cert, ['http/1.1'])).destroy();
  });

  test('takes a renewed certificate for new connections, and keeps the old one while the files do not fit', async () => {
    const before = await handshake(server, certificate.cert, ['http/1.1']);
    const renewed = valid(60);
    writeFileSync(paths.cert, renewed.cert);
    time.advance(10_000);
    await readTls(paths).catch(() => undefined);
    (await handshake(server, certificate.cert, ['http/1.1'])).destroy();
    writeFileSync(paths.key, renewed.key);
    time.advance(10_000);
    let reloaded: TLSSocket | undefined;
    while (reloaded === undefined) {
      // The files are read behind this test's back; the next attempts meet the new certificate.
      reloaded = await handshake(server, renewed.cert, ['http/1.1']).catch(() => undefined);
    }
    before.write('GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const [answer] = (await once(before, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
    reloaded.destroy();
    before.destroy();
  });
});

describe('files that cannot be used', () => {
  test.each([
    ['only a certificate', { ...settings, 'server.tls_key_file': '' }, 'server.tls_cert_file and server.tls_key_file'],
    ['only a key', { ...settings, 'server.tls_cert_file': '' }, 'server.tls_cert_file and server.tls_key_file'],
    ['a missing file', { ...settings, 'server.tls_cert_file': join(folder, 'none.pem') }, 'cannot be read (ENOENT)'],
    ['a folder', { ...settings, 'server.tls_cert_file': folder }, 'cannot be read (EISDIR)'],
  ])('%s', async (_, config, reason) => {
    write(valid());
    await expect(startTestServer(config)).rejects.toThrow(reason);
  });

  test('another key, and what is no PEM', async () => {
    write({ cert: valid().cert, key: valid().key });
    await expect(readTls(paths)).rejects.toThrow('does not belong to the certificate');
    write({ cert: 'nonsense', key: valid().key });
    await expect(readTls(paths)).rejects.toThrow('holds no certificate in PEM');
    write({ cert: valid().cert, key: 'nonsense' });
    await expect(readTls(paths)).rejects.toThrow('holds no private key without a password in PEM');
  });

  test('an expired certificate is used, and the log says so once a day', async () => {
    const time = new VirtualTime(systemClock.now());
    const lines: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    write(testCertificate(new Date(0), new Date(time.now() - 1000)));
    const files = new TlsFiles(await readTls(paths), { paths, clock: time, timers: time, log, apply: () => {} });
    for (let hour = 0; hour < 30; hour++) {
      time.advance(3_600_000);
      await files.reload();
    }
    files.close();
    expect(lines.filter((line) => line.includes('has expired')).length).toBe(2);
    expect(time.pendingTimers).toBe(0);
  });
});
