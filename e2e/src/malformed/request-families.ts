import { gzipSync } from 'node:zlib';
import type { SeededRandom } from '@kalamdb/testing';
import { deep, giantNumber, invalidUtf8, mutated, noise, truncated, wrongValue } from './hostile-values.ts';
import type { Family, MalformedCase, Scene } from './malformed-case.ts';
import { RawSocket } from './raw-socket.ts';

const REFUSED = /^4\d\d$/;
/** Not HTTP any more: the connection may simply end. */
const REFUSED_OR_ENDED = /^(4\d\d|end)$/;
const ANSWERED = /^[24]\d\d$/;
const GOOD_BODY = '{"sql":"SELECT $1 AS n","params":[1]}';
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

interface Request {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

/** The bytes of a request that is right where it does not say otherwise. */
function requestBytes({ token }: Scene, { method = 'POST', path = '/v1/api/sql', headers = [], body = GOOD_BODY }: Request): Buffer {
  const given = new Set(headers.map((header) => header.split(':', 1)[0]?.toLowerCase()));
  const usual = [
    'Host: x',
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    ...(given.has('transfer-encoding') ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
  ].filter((header) => !given.has(header.split(':', 1)[0]?.toLowerCase()));
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${[...usual, ...headers].join('\r\n')}\r\n\r\n`, 'latin1'),
    Buffer.from(body),
  ]);
}

/** A case that writes bytes over a connection of its own; the answer's status is the outcome. */
function exchange(
  name: string,
  allowed: RegExp,
  bytesOf: (scene: Scene) => Buffer,
  how: 'whole' | 'slowly' | 'then end' = 'whole',
): MalformedCase {
  return {
    name,
    allowed,
    async play(scene) {
      const socket = await RawSocket.open(scene.port);
      const bytes = bytesOf(scene);
      if (how === 'slowly') await socket.writeSlowly(bytes, 20);
      else socket.write(bytes);
      if (how === 'then end') socket.end();
      const status = await socket.status();
      socket.destroy();
      return status === undefined ? 'end' : String(status);
    },
  };
}

const request = (name: string, allowed: RegExp, sent: Request): MalformedCase =>
  exchange(name, allowed, (scene) => requestBytes(scene, sent));

const JSON_PATHS = ['/v1/api/sql', '/v1/api/auth/login', '/v1/api/auth/setup'] as const;

function wrongBody(random: SeededRandom): Request {
  const path = random.pick(JSON_PATHS);
  const value = wrongValue(random);
  const body = random.pick([
    value,
    `{"sql":${value}}`,
    '{}',
    `{"sql":"SELECT 1","params":${random.pick(['1', '{}', 'true', '"x"'])}}`,
    `{"user":${value},"password":"x"}`,
    '{"user":"root"}',
  ]);
  return { path, body };
}

function wrongType(random: SeededRandom): Request {
  const type = random.pick([
    'text/plain',
    'application/xml',
    '',
    ';',
    'application/jso',
    'x'.repeat(2000),
    'multipart/form-data',
    'multipart/form-data; boundary=',
  ]);
  return { path: random.pick(['/v1/api/sql', '/v1/api/auth/login']), headers: [`Content-Type: ${type}`] };
}

function wrongForm(random: SeededRandom): Request {
  const headers = ['Content-Type: multipart/form-data; boundary=b'];
  const body = random.pick<string | Buffer>([
    '',
    'no boundary at all',
    '--b\r\n',
    '--b\r\nContent-Disposition: form-data; name="sql"\r\n\r\nSELECT 1',
    '--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n',
    `--b\r\nContent-Disposition: form-data; name="${'x'.repeat(5000)}"\r\n\r\nx\r\n--b--\r\n`,
    `--b\r\n${'X: y\r\n'.repeat(3000)}\r\nx\r\n--b--\r\n`,
    noise(random, 500),
    Buffer.concat([Buffer.from('--b\r\n'), noise(random, 200), Buffer.from('\r\n--b--\r\n')]),
  ]);
  return { headers, body };
}

function wrongToken(random: SeededRandom, token: string): string {
  return random.pick([
    'Authorization: Bearer ',
    'Authorization: Bearer x.y.z',
    'Authorization: bearer',
    'Authorization: Basic cm9vdDpyb290',
    `Authorization: Bearer ${token.slice(0, -2)}`,
    `Authorization: Bearer ${token.replaceAll('.', '..')}`,
    `Authorization: Bearer ${'a'.repeat(9000)}`,
    `Authorization: Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1]}.`,
    `Authorization: Bearer ${noise(random, 60).toString('base64')}`,
  ]);
}

function wrongFraming(random: SeededRandom): Request {
  return random.pick<Request>([
    { headers: ['Content-Length: -1'] },
    { headers: ['Content-Length: x'] },
    { headers: ['Content-Length: 5', 'Content-Length: 6'] },
    { headers: ['Content-Length: 99999999999999999999'] },
    { headers: ['Content-Length: 5', 'Transfer-Encoding: chunked'] },
    {
      headers: ['Transfer-Encoding: chunked'],
      body: `${random.pick(['x', '-1', 'ffffffffffffffffff', '5;', '0x5'])}\r\nhello\r\n0\r\n\r\n`,
    },
    { headers: ['Transfer-Encoding: chunked'], body: '5\r\nhelloworld\r\n0\r\n\r\n' },
    { headers: ['Transfer-Encoding: gzip'] },
    { headers: [`Bad Header${random.pick(['', ' '])}: x`] },
    { headers: ['X: a\u0000b'] },
    { headers: [`X: ${'y'.repeat(20_000 + random.integer(80_000))}`] },
  ]);
}

function noHttp(random: SeededRandom): Buffer {
  return random.pick([
    noise(random, 300),
    Buffer.from('GET\r\n\r\n'),
    Buffer.from('GET / HTTP/9.9\r\n\r\n'),
    Buffer.from(`${'A'.repeat(200)} / HTTP/1.1\r\n\r\n`),
    Buffer.from('\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', 'latin1'),
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), noise(random, 300)]),
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from('000000040000000000', 'hex'), noise(random, 100)]),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nXX'),
  ]);
}

function wrongUpgrade(random: SeededRandom): Request {
  const upgrade = ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='];
  const without = (name: string): readonly string[] => upgrade.filter((header) => !header.startsWith(name));
  return random.pick<Request>([
    { method: 'GET', path: '/v1/ws', body: '', headers: without('Sec-WebSocket-Key') },
    { method: 'GET', path: '/v1/ws', body: '', headers: [...without('Sec-WebSocket-Key'), 'Sec-WebSocket-Key: x'] },
    { method: 'GET', path: '/v1/ws', body: '', headers: [...without('Sec-WebSocket-Version'), 'Sec-WebSocket-Version: 99'] },
    { method: 'POST', path: '/v1/ws', body: '', headers: upgrade },
    { method: 'GET', path: '//', body: '', headers: upgrade },
    { method: 'GET', path: '//[', body: '', headers: upgrade },
    {
      method: 'GET',
      path: random.pick(['/v1/wss', '/', '/%', '/v1/ws/', '/v1/api/sql', `/${'x'.repeat(5000)}`]),
      body: '',
      headers: upgrade,
    },
  ]);
}

const cut = (random: SeededRandom, scene: Scene): Buffer => {
  const whole = requestBytes(scene, {});
  return whole.subarray(0, 1 + random.integer(whole.length - 2));
};

/** HTTP requests that are wrong in some way. */
export const REQUEST_FAMILIES: readonly Family[] = [
  {
    weight: 10,
    make: (random) => request('request: truncated JSON', REFUSED, { path: random.pick(JSON_PATHS), body: truncated(random, GOOD_BODY) }),
  },
  { weight: 10, make: (random) => request('request: wrong types', REFUSED, wrongBody(random)) },
  {
    weight: 5,
    make: (random) =>
      request('request: deep nesting', REFUSED, { body: random.pick([deep(random), `{"sql":"SELECT 1","params":${deep(random)}}`]) }),
  },
  {
    weight: 5,
    make: (random) => request('request: giant numbers', ANSWERED, { body: `{"sql":"SELECT $1 AS n","params":[${giantNumber(random)}]}` }),
  },
  { weight: 5, make: (random) => request('request: damaged bytes', ANSWERED, { body: mutated(random, Buffer.from(GOOD_BODY)) }) },
  { weight: 3, make: (random) => request('request: invalid UTF-8', REFUSED, { path: random.pick(JSON_PATHS), body: invalidUtf8(random) }) },
  {
    weight: 3,
    make: () =>
      request('request: prototype keys', ANSWERED, {
        body: '{"sql":"SELECT 1 AS n","__proto__":{"params":[1]},"constructor":{"prototype":{"x":1}}}',
      }),
  },
  { weight: 5, make: (random) => request('request: content type', REFUSED, wrongType(random)) },
  { weight: 8, make: (random) => request('request: multipart', REFUSED, wrongForm(random)) },
  {
    weight: 8,
    make: (random) => exchange('request: token', /^401$/, (scene) => requestBytes(scene, { headers: [wrongToken(random, scene.token)] })),
  },
  { weight: 10, make: (random) => request('request: framing', REFUSED_OR_ENDED, wrongFraming(random)) },
  { weight: 8, make: (random) => exchange('request: no HTTP', REFUSED_OR_ENDED, () => noHttp(random), 'then end') },
  { weight: 8, make: (random) => request('request: upgrade', REFUSED, wrongUpgrade(random)) },
  { weight: 5, make: (random) => exchange('request: cut off', REFUSED_OR_ENDED, (scene) => cut(random, scene), 'then end') },
  { weight: 1, make: () => request('request: gzip bomb', REFUSED, { headers: ['Content-Encoding: gzip'], body: bomb }) },
  {
    weight: 3,
    make: (random) =>
      exchange('request: slow sender', REFUSED, (scene) => requestBytes(scene, { body: truncated(random, GOOD_BODY) }), 'slowly'),
  },
];
