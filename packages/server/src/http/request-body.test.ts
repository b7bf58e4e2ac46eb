import { parseJson } from '@kalamdb/protocol';
import { expect, test } from 'vitest';
import { asObject, isJsonType, type TextField, textFields } from './request-body.ts';

const fields: readonly TextField[] = [
  { name: 'user', aliases: ['username'], required: true, charactersMax: 4 },
  { name: 'email', required: false, charactersMax: 4 },
];
const read = (text: string): unknown => textFields(asObject(parseJson(text)), fields);

test('members by name or alias, optional ones may be null or absent', () => {
  expect(read('{"username":"ann","email":null}')).toEqual({ user: 'ann' });
  expect(read('{"user":"ann","email":"e"}')).toEqual({ user: 'ann', email: 'e' });
});

test.each([
  ['{}', 'missing field `user`'],
  ['{"user":null}', 'invalid type: null, expected a string'],
  ['{"user":"a","username":"b"}', 'duplicate field `user`'],
  ['{"user":"a","remember":true}', 'unknown field `remember`, expected one of `user`, `username`, `email`'],
  ['{"user":"a","__proto__":1}', 'unknown field `__proto__`'],
  ['{"user":"abcde"}', 'user exceeds maximum length of 4 characters'],
  ['[1]', 'invalid type: sequence, expected an object'],
])('%s is refused', (text, part) => {
  expect(() => read(text)).toThrow(part);
});

test('content types', () => {
  for (const type of ['application/json', 'APPLICATION/JSON; charset=utf-8']) expect(isJsonType(type)).toBe(true);
  for (const type of [undefined, '', 'text/plain']) expect(isJsonType(type)).toBe(false);
});
