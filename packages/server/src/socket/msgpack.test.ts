import { type JsonValue, KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { Packr, Unpackr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { readMsgpack } from './msgpack-reader.ts';
import { MsgpackWriter } from './msgpack-writer.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' });
const writer = new MsgpackWriter();

function written(value: JsonValue): Buffer {
  writer.value(value);
  return writer.take();
}

/** Anything JSON can say, integers of 64 bits included. */
const value = fc.letrec<{ any: JsonValue }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false),
    fc.string({ unit: 'binary' }).filter((text) => !/[\uD800-\uDFFF]/u.test(text)),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map((n) => (Number.isSafeInteger(Number(n)) ? Number(n) : n)),
    fc.array(tie('any')),
    fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
      tie('any'),
      { noNullPrototype: true },
    ),
  ),
})).any;

/** Numbers of both kinds that mean the same; msgpackr makes bigints of safe integers, and reads -0 as 0. */
function plain(one: unknown): unknown {
  if (typeof one === 'bigint') return one.toString();
  if (typeof one === 'number') return Object.is(one, -0) ? '0' : Number.isSafeInteger(one) ? one.toString() : one;
  if (Array.isArray(one)) return one.map(plain);
  if (typeof one !== 'object' || one === null) return one;
  return Object.fromEntries(Object.entries(one).map(([name, member]) => [name, plain(member)]));
}

describe('MessagePack', () => {
  test('is read back as it was written, and another implementation reads and writes the same', () => {
    fc.assert(
      fc.property(value, (one) => {
        const bytes = written(one);
        expect(readMsgpack(bytes)).toStrictEqual(one);
        expect(plain(unpackr.unpack(bytes))).toEqual(plain(one));
        expect(plain(readMsgpack(packr.pack(one)))).toEqual(plain(one));
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    [5, '05'],
    [-1, 'ff'],
    [200, 'ccc8'],
    [300, 'cd012c'],
    [70_000, 'ce00011170'],
    [-200, 'd1ff38'],
    [4_294_967_296, 'cf0000000100000000'],
    [316847529014263808n, 'cf0465ab261edb0000'],
    [-(2n ** 63n), 'd38000000000000000'],
    [1.5, 'cb3ff8000000000000'],
    ['a', 'a161'],
    [[1], '9101'],
    [{ a: null }, '81a161c0'],
  ])('%s is written in its shortest form', (one, hex) => {
    expect(written(one).toString('hex')).toBe(hex);
  });

  test('long texts, arrays and maps', () => {
    for (const count of [15, 16, 31, 32, 255, 256, 4000, 65_536]) {
      expect(readMsgpack(written('x'.repeat(count)))).toBe('x'.repeat(count));
      const list = Array.from({ length: Math.min(count, 4000) }, (_unused, index) => index);
      expect(readMsgpack(written(list))).toEqual(list);
      const object = Object.fromEntries(list.map((index) => [`m${index}`, index]));
      expect(readMsgpack(written(object))).toEqual(object);
    }
  });

  test.each([
    ['c1c1c1', 'marker Reserved'],
    ['', 'unexpected end'],
    ['0505', 'bytes after the value'],
    ['dfffffffff', 'unexpected end'],
    ['ddffffffff', 'unexpected end'],
    ['dbffffffff61', 'unexpected end'],
    ['d40100', 'marker 0xd4'],
    ['c7ff00', 'marker 0xc7'],
    ['c40161', 'marker 0xc4'],
    ['cb7ff8000000000000', 'not finite'],
    ['a1ff', 'not UTF-8'],
    ['810101', 'a key that is not a text'],
    ['91'.repeat(40), 'nested deeper'],
    [`dc2711${'00'.repeat(10_001)}`, 'more than 10000 values'],
  ])('%.20s is refused', (hex, part) => {
    expect(() => readMsgpack(Buffer.from(hex, 'hex'))).toThrow(part);
  });

  test('a key named like the prototype is a key like any other', () => {
    const read = readMsgpack(packr.pack(new Map([['__proto__', { polluted: true }]])));
    expect(Object.keys(read as object)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('whatever the bytes are, there is a value or a typed error', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.tuple(value, fc.nat(), fc.nat({ max: 255 })).map(([one, at, byte]) => {
        const damaged = written(one);
        damaged[at % damaged.length] = byte;
        return damaged;
      }),
    );
    fc.assert(
      fc.property(bytes, (one) => {
        try {
          readMsgpack(Buffer.from(one));
        } catch (error) {
          expect(error).toBeInstanceOf(KalamError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
