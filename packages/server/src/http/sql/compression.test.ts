import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acceptedEncoding } from './compression.ts';

describe('Accept-Encoding', () => {
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['identity', undefined],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['br', 'br'],
    ['gzip, deflate, br', 'gzip'],
    ['gzip;q=0.5, br;q=0.8', 'br'],
    ['gzip;q=0', undefined],
    ['gzip;q=0, br;q=0', undefined],
    ['gzip;q=0, *', 'br'],
    ['*', 'gzip'],
    ['*;q=0', undefined],
    ['identity;q=0.9, gzip;q=0.1', undefined],
    ['gzip ; q = 0.001', 'gzip'],
    ['gzip;q=2', undefined],
    ['gzip;q=nonsense', undefined],
    ['deflate', undefined],
    ['zstd', undefined],
  ])('%s is %s', (header, expected) => {
    expect(acceptedEncoding(header)).toBe(expected);
  });

  test('any text is understood as something', () => {
    fc.assert(fc.property(fc.string({ maxLength: 500 }), (header) => ['gzip', 'br', undefined].includes(acceptedEncoding(header))));
  });
});
