import { parseJson } from '@kalamdb/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJson } from './json-reading.ts';

/** What the exact reader of the protocol says, long integers as text. */
function textual(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.map(textual);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, textual(member)]));
}

const long = fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).filter((value) => String(value).replace('-', '').length >= 17);
const text = fc.oneof(fc.string(), fc.constantFrom('12345678901234567', ':12345678901234567', '\\",99999999999999999', '"', '\\'));

describe('reading JSON', () => {
  it('loses no digit, whatever stands around', () => {
    const scalar = fc.oneof(
      long.map(String),
      text.map((value) => JSON.stringify(value)),
      fc.integer().map(String),
      fc.constantFrom('1.5', '-2.25e10', 'null', 'true', '0.12345678901234567'),
    );
    const list = fc.array(scalar, { maxLength: 6 }).map((items) => `[${items.join(',')}]`);
    const object = fc.array(fc.tuple(text, fc.oneof(scalar, list)), { maxLength: 6 });
    const document = object.map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}: ${value}`).join(' , ')}}`);
    fc.assert(
      fc.property(document, (json) => {
        expect(readJson(json)).toEqual(textual(parseJson(json)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads a text of many megabytes beside a long integer', () => {
    const body = 'x'.repeat(20_000_000);
    expect(readJson(`{"a":"${body}","b":316847529014263808}`)).toEqual({ a: body, b: '316847529014263808' });
  });

  it('refuses what is not JSON', () => {
    for (const bad of ['', '{', '[12345678901234567', '12345678901234567.', '{"a":99999999999999999,}'])
      expect(() => readJson(bad)).toThrow(SyntaxError);
  });
});
