import { gzipSync } from 'node:zlib';
import type { SeededRandom } from '@kalamdb/testing';
import { Packr } from 'msgpackr';
import { deep, GOOD_MESSAGES, giantNumber, invalidUtf8, mutated, noise, truncated, wrongValue } from './hostile-values.ts';
import type { Family, MalformedCase } from './malformed-case.ts';
import { frameBytes } from './web-socket-peer.ts';

const MESSAGE_BYTES_MAX = 1_048_576;
/** Any end or answer that is typed, for messages that damage may have left in order. */
const ANY_TYPED = /^(none|data|error [A-Z_]+|close 10(07|11)|auth_success|subscription_ack|initial_data_batch)$/;
const INVALID = /^close 1011$/;
const REFUSED = /^error UNSUPPORTED_DATA$/;

const packr = new Packr({ useRecords: false, variableMapSize: true });
const bombs = [2, 8].map((mebibytes) => gzipSync(Buffer.alloc(mebibytes * MESSAGE_BYTES_MAX)));

/** A case that sends one message over a connection that is kept. */
function message(
  name: string,
  allowed: RegExp,
  { mode, opcode, payload }: { mode: 'json' | 'msgpack'; opcode: 1 | 2; payload: Buffer },
): MalformedCase {
  return {
    name,
    allowed,
    async play(scene) {
      const peer = await scene.peer(mode);
      peer.write(frameBytes({ opcode, payload }));
      return peer.outcome();
    },
  };
}

const text = (name: string, allowed: RegExp, content: string | Buffer): MalformedCase =>
  message(name, allowed, { mode: 'json', opcode: 1, payload: Buffer.from(content) });

const binary = (name: string, allowed: RegExp, payload: Buffer): MalformedCase =>
  message(name, allowed, { mode: 'msgpack', opcode: 2, payload });

function wrongType(random: SeededRandom): string {
  const value = wrongValue(random);
  return random.pick([
    value,
    `{"type":${value}}`,
    `{"type":"subscribe","subscription":${value}}`,
    `{"type":"subscribe","subscription":{"id":${value},"sql":"x"}}`,
    `{"type":"subscribe","subscription":{"id":"x","sql":${value}}}`,
    `{"type":"subscribe","subscription":{"id":"x","sql":"y","options":${random.pick(['true', '1', '[]', '"x"'])}}}`,
    `{"type":"subscribe","subscription":{"id":"x","sql":"y","options":{"batch_size":${random.pick(['-1', '"x"', '1.5', '4294967296', '{}'])}}}}`,
    `{"type":"next_batch","subscription_id":${value}}`,
    '{"type":"authenticate","method":"jwt","token":1,"protocol":{"serialization":"json","compression":"gzip"}}',
    `{"type":"authenticate","method":"jwt","token":"x","protocol":{"serialization":"json","compression":"gzip","extensions":${random.pick(['1', '"x"', '[1]', '{}'])}}}`,
    `{"type":"authenticate","method":"jwt","token":"x","protocol":${value}}`,
    `{"type":"${random.pick(['', 'SUBSCRIBE', 'toString', '__proto__', 'x'.repeat(5000)])}"}`,
  ]);
}

function giantSeq(random: SeededRandom): string {
  const seq = giantNumber(random);
  return random.pick([
    `{"type":"next_batch","subscription_id":"x","last_seq_id":${seq}}`,
    `{"type":"subscribe","subscription":{"id":"x","sql":"y","options":{"from":${seq}}}}`,
    `{"type":"subscribe","subscription":{"id":"x","sql":"y","options":{"last_rows":${seq}}}}`,
  ]);
}

function polluting(random: SeededRandom): { readonly content: string; readonly allowed: RegExp } {
  return random.pick([
    {
      content: '{"type":"ping","__proto__":{"type":"subscribe","polluted":1},"constructor":{"prototype":{"polluted":1}}}',
      allowed: /^none$/,
    },
    { content: '{"__proto__":{"type":"ping"}}', allowed: INVALID },
    { content: '{"type":"subscribe","__proto__":{"subscription":{"id":"x","sql":"y"}}}', allowed: INVALID },
  ]);
}

function badRequest(random: SeededRandom): string {
  const [id, sql, options] = random.pick([
    ['', 'SELECT * FROM app.notes', 'null'],
    ['   ', 'SELECT 1', '{}'],
    ['x', 'DELETE FROM app.notes', '{}'],
    ['x', 'SELECT * FROM app.nothing', '{}'],
    ['x', 'SELECT * FROM notes', '{}'],
    ['x', 'SELECT * FROM app.notes ORDER BY id', '{}'],
    ['x', 'SELECT * FROM app.notes; SELECT 1', '{}'],
    ['x', 'SELECT * FROM app.notes WHERE '.concat('('.repeat(3000)), '{}'],
    ['x', 'SELECT * FROM app.notes WHERE id = 1 OR '.repeat(400), '{}'],
    ['x', '\\u0000', '{}'],
    ['x', 'SELECT * FROM app.notes', '{"last_rows":51,"batch_size":50}'],
  ] as const);
  return `{"type":"subscribe","subscription":{"id":"${id}","sql":"${sql}","options":${options}}}`;
}

function brokenMsgpack(random: SeededRandom): Buffer {
  const good = packr.pack(JSON.parse(random.pick(GOOD_MESSAGES)));
  switch (random.integer(7)) {
    case 0:
      return noise(random, 200);
    case 1:
      return good.subarray(0, 1 + random.integer(good.length - 1));
    case 2:
      return Buffer.concat([good, noise(random, 10)]);
    case 3:
      // promises more than there is
      return Buffer.from(random.pick(['dfffffffff', 'ddffffffff', 'dbffffffff', 'c6ffffffff', '81a474797065dbffffffff']), 'hex');
    case 4:
      // extensions, records and classes of this encoder and others
      return Buffer.from(random.pick(['d40100', 'c70a72', 'd6ff00000000', 'd47241', '9fc1', 'd57373', 'c7050d78']), 'hex');
    case 5:
      return Buffer.alloc(33 + random.integer(100_000), random.pick([0x91, 0x81]));
    default:
      return packr.pack(
        random.pick<unknown>([
          { type: 'subscribe' },
          ['ping'],
          'ping',
          { type: 5 },
          new Map([[1, 2]]),
          { type: 'next_batch', subscription_id: 's', last_seq_id: 2n ** 64n - 1n },
        ]),
      );
  }
}

function brokenGzip(random: SeededRandom): Buffer {
  const whole = gzipSync(packr.pack(JSON.parse(random.pick(GOOD_MESSAGES))));
  if (random.integer(2) === 0) return Buffer.concat([Buffer.from([0x1f, 0x8b]), noise(random, 100)]);
  return random.integer(2) === 0 ? whole.subarray(0, 3 + random.integer(whole.length - 4)) : gzipSync(whole);
}

/** Whole messages with a wrong content, on connections that may survive them. */
export const MESSAGE_FAMILIES: readonly Family[] = [
  { weight: 10, make: (random) => text('message: truncated JSON', INVALID, truncated(random, random.pick(GOOD_MESSAGES))) },
  {
    weight: 5,
    make: (random) =>
      text(
        'message: no JSON',
        INVALID,
        random.pick(['', 'x', '{]', "{'type':'ping'}", '{"type":"ping",}', 'NaN', '\ufeff{}', '{"type":"\\x"}', '{} {}']),
      ),
  },
  { weight: 10, make: (random) => text('message: wrong types', INVALID, wrongType(random)) },
  { weight: 5, make: (random) => text('message: deep nesting', INVALID, deep(random)) },
  { weight: 5, make: (random) => text('message: giant numbers', INVALID, giantSeq(random)) },
  {
    weight: 5,
    make: (random) => {
      const { content, allowed } = polluting(random);
      return text('message: prototype keys', allowed, content);
    },
  },
  {
    weight: 10,
    make: (random) =>
      text(
        'message: bad requests',
        /^error (INVALID_SUBSCRIPTION_ID|INVALID_SQL|NOT_FOUND|UNSUPPORTED|SUBSCRIPTION_FAILED)$/,
        badRequest(random),
      ),
  },
  { weight: 15, make: (random) => text('message: damaged bytes', ANY_TYPED, mutated(random, Buffer.from(random.pick(GOOD_MESSAGES)))) },
  { weight: 3, make: (random) => text('message: invalid UTF-8', /^close 1007$/, invalidUtf8(random)) },
  {
    weight: 5,
    make: (random) => message('message: binary where text is spoken', REFUSED, { mode: 'json', opcode: 2, payload: noise(random, 300) }),
  },
  {
    weight: 0.3,
    make: (random) =>
      text('message: too large', /^error MESSAGE_TOO_LARGE$/, Buffer.alloc(MESSAGE_BYTES_MAX + 1 + random.integer(1000), 'x')),
  },
  { weight: 20, make: (random) => binary('MessagePack: broken', REFUSED, brokenMsgpack(random)) },
  {
    weight: 10,
    make: (random) => binary('MessagePack: damaged bytes', ANY_TYPED, mutated(random, packr.pack(JSON.parse(random.pick(GOOD_MESSAGES))))),
  },
  { weight: 5, make: (random) => binary('MessagePack: broken gzip', REFUSED, brokenGzip(random)) },
  { weight: 2, make: (random) => binary('MessagePack: gzip bomb', /^error MESSAGE_TOO_LARGE$/, random.pick(bombs)) },
  {
    weight: 3,
    make: () =>
      binary(
        'MessagePack: prototype keys',
        /^none$/,
        packr.pack(
          new Map<string, unknown>([
            ['type', 'ping'],
            ['__proto__', { type: 'subscribe' }],
            ['constructor', {}],
          ]),
        ),
      ),
  },
];
