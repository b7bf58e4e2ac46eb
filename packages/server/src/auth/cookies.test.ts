import { expect, test } from 'vitest';
import { readCookie, setCookie } from './cookies.ts';

test('a cookie is found among others, exactly by name', () => {
  expect(readCookie('a=1; kalamdb_auth=x.y=z ;b=2', 'kalamdb_auth')).toBe('x.y=z');
  expect(readCookie('xkalamdb_auth=1', 'kalamdb_auth')).toBeUndefined();
  expect(readCookie('kalamdb_auth=', 'kalamdb_auth')).toBeUndefined();
  expect(readCookie(undefined, 'kalamdb_auth')).toBeUndefined();
});

test('the flags of a cookie', () => {
  expect(setCookie('kalamdb_auth', '', { expiresAtSeconds: 0, secure: false })).toBe(
    'kalamdb_auth=; HttpOnly; SameSite=Strict; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
  );
  expect(setCookie('n', 'v', { expiresAtSeconds: 60, secure: true })).toMatch(/; Secure$/);
});
