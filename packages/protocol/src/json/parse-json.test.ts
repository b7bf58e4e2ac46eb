import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonReader } from './json-reader.ts';
import { jsonString } from './json-string.ts';
import { parseJson } from './parse-json.ts';

const readExactly = (text: string, depthMax = 64): unknown => {
  const read = new JsonReader(text, depthMax).read();
  if (read.kind === 'invalid') throw new Error(read.reason);
  return read.value;
};

const attempt = (run: () => unknown): unknown => {
  try {
    return { value: run() };
  } catch {
    return 'refused';
  }
};

/** The document with the integers that JSON.stringify wrote without exponent and that are not safe as bigints. */
function withBigints(value: unknown): unknown {
  if (typeof value === 'number')
    return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21 ? BigInt(String(value)) : value;
  if (Array.isArray(value)) return value.map(withBigints);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withBigints(member)]));
}

describe('agreement with the platform', () => {
  test('any JSON document reads the same on both ways', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), fc.constantFrom(undefined, 1, '\t'), (text, space) => {
        const spaced = JSON.stringify(JSON.parse(text), null, space);
        const expected = withBigints(JSON.parse(spaced));
        expect(readExactly(spaced)).toStrictEqual(expected);
        expect(parseJson(spaced)).toStrictEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test('any text made of pieces of JSON is read or refused alike', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"__proto__"',
      '\\',
      '\\u00e9',
      '\\ud800',
      '\\x',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'null',
      ' ',
      '\n',
      '\0',
      'é',
      '😀',
    ];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join('')),
        (text) => {
          const native = attempt(() => JSON.parse(text));
          expect(attempt(() => readExactly(text))).toStrictEqual(native);
          expect(attempt(() => parseJson(text))).toStrictEqual(native);
        },
      ),
      { numRuns: 10_000 },
    );
  });
});

describe('numbers', () => {
  test('every integer keeps its value, inside any document', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), fc.constantFrom('', ' ', '\n  '), (value, space) => {
        const safe = value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER);
        const expected = safe ? Number(value) : value;
        expect(parseJson(`${space}${value}${space}`)).toBe(expected);
        expect(parseJson(`{"a":${space}${value},"b":[1,${space}${value}]}`)).toStrictEqual({ a: expected, b: [1, expected] });
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])('%d is the last number', (limit) => {
    expect(parseJson(`[${limit}]`)).toStrictEqual([limit]);
    const beyond = BigInt(limit) + BigInt(Math.sign(limit));
    expect(parseJson(`[${beyond}]`)).toStrictEqual([beyond]);
  });

  test('numbers with a fraction or exponent are doubles, and must fit one', () => {
    expect(parseJson('[12345678901234567890.5,1e300,12345678901234567e2]')).toStrictEqual([
      Number('12345678901234567890.5'),
      1e300,
      Number('1234567890123456700'),
    ]);
    for (const text of ['1e400', '[-1E+999]', '{"a":1e309}', `${'9'.repeat(400)}.5`])
      expect(() => parseJson(text)).toThrow('number too large');
    expect(() => parseJson('9'.repeat(100_000))).toThrow('integer too long');
  });

  test('digits inside strings stay text', () => {
    expect(parseJson('{"_seq":"316847529014263808","a":",99999999999999999"}')).toStrictEqual({
      _seq: '316847529014263808',
      a: ',99999999999999999',
    });
  });
});

describe('limits and errors', () => {
  test('depth is bounded, brackets in strings do not count', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(parseJson(nested(64))).toBeDefined();
    expect(() => parseJson(nested(65))).toThrow('Invalid JSON at offset 64: nested deeper than 64 levels');
    expect(() => parseJson(`{"a":${nested(3)}}`, { depthMax: 3 })).toThrow('nested deeper than 3 levels');
    expect(() => parseJson(nested(1_000_000))).toThrow('nested deeper');
    expect(parseJson(JSON.stringify([`\\"${'['.repeat(100)}`, '\\', 1]))).toHaveLength(3);
    expect(parseJson(JSON.stringify(Array.from({ length: 100 }, () => ({ a: [] }))))).toHaveLength(100);
  });

  test.each([
    ['', 'offset 0: unexpected end'],
    ['{"a":1,}', 'offset 7: expected a member name'],
    ['[1 2]', "offset 3: expected ',' or ']'"],
    ['{"a" 1}', "offset 5: expected ':'"],
    ['{"a":1', "offset 6: expected ',' or '}'"],
    ['"abc', 'offset 4: unterminated string'],
    ['"a\nb"', 'offset 2: control character in a string'],
    ['"\\q"', 'offset 2: invalid escape'],
    ['nul', 'offset 0: unexpected character'],
    ['1 1', 'offset 2: text after the value'],
  ])('%j: %s', (text, message) => {
    expect(() => parseJson(text)).toThrow(`Invalid JSON at ${message}`);
  });

  test('__proto__ is a member and changes nothing', () => {
    for (const text of ['{"__proto__":{"admin":true}}', '{"__proto__":{"admin":true},"n":99999999999999999}']) {
      const value = parseJson(text) as Record<string, unknown>;
      expect(Object.hasOwn(value, '__proto__')).toBe(true);
      expect(value['admin']).toBeUndefined();
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    }
  });
});

test('jsonString writes what the platform writes', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('\ud800', '\udc00', '"', '\\', '\u007f', '\0', 'a') })),
      (text) => {
        expect(JSON.parse(jsonString(text))).toBe(text);
        expect(jsonString(text)).toBe(JSON.stringify(text));
      },
    ),
    { numRuns: 2_000 },
  );
  expect(jsonString('x'.repeat(10_000))).toHaveLength(10_002);
});
