import { expect, test } from 'vitest';
import { PageOrigins } from './page-origins.ts';

const originsOf = (allowed: readonly string[], own = ''): PageOrigins =>
  new PageOrigins({ 'security.cors.allowed_origins': allowed, 'server.public_origin': own });

test('every page may call until origins are named; then those, and pages of the public origin', () => {
  for (const any of [originsOf([]), originsOf(['*']), originsOf(['https://a.example', '*'])])
    expect(any.allows('https://b.example')).toBe(true);
  const named = originsOf(['https://a.example/', 'http://b.example:8080'], 'https://DB.example/');
  const asked = ['https://a.example', 'http://b.example:8080', 'https://db.example', 'https://c.example', 'http://a.example', 'null'];
  expect(asked.map((origin) => named.allows(origin))).toEqual([true, true, true, false, false, false]);
});

test('a page that may call is not taken for this machine', () => {
  const origins = originsOf([], 'https://db.example');
  const local = [undefined, 'http://localhost:5173', 'http://127.0.0.1:3000', 'http://[::1]:80', 'https://db.example'];
  expect(local.filter((origin) => !origins.countsAsLocal(origin))).toEqual([]);
  const foreign = ['https://evil.example', 'http://localhost.evil.example', 'http://127.0.0.1.evil.example', 'null', ''];
  expect(foreign.filter((origin) => origins.countsAsLocal(origin))).toEqual([]);
});

test('cookies count for pages of the same host, not for those of a neighbour', () => {
  const origins = originsOf([]);
  expect(origins.believesCookies('https://db.example', 'db.example')).toBe(true);
  expect(origins.believesCookies('https://db.example:8443', 'db.example:8443')).toBe(true);
  expect(origins.believesCookies(undefined, 'db.example')).toBe(true);
  for (const origin of ['https://www.example', 'https://db.example:8443', 'null'])
    expect(origins.believesCookies(origin, 'db.example')).toBe(false);
  expect(origins.believesCookies('https://evil.example', undefined)).toBe(false);
});
