import { describe, expect, test } from 'vitest';
import { checkName, checkUserName, type NamedThing, RESERVED_COLUMNS, RESERVED_NAMESPACES } from './names.ts';

describe('checkName', () => {
  test.each(['id', 'user_id', 'firstName', 'timestamp', 'count', 'a', 'x1', 'a'.repeat(64), 'name', 'type', 'key', 'value'])(
    '%s is a column name',
    (name) => {
      expect(() => checkName('column', name)).not.toThrow();
    },
  );

  test.each<[NamedThing, string, string]>([
    ['column', 'a-b', "Invalid column name 'a-b'. Only alphanumeric characters and underscores are allowed"],
    ['table', 'a/b', "Invalid table name 'a/b'. Only alphanumeric characters and underscores are allowed"],
    ['namespace', 'a b', "Invalid namespace name 'a b'. Only alphanumeric characters and underscores are allowed"],
    ['column', 'é', "Invalid column name 'é'. Only alphanumeric characters and underscores are allowed"],
    ['table', 'a'.repeat(65), 'Name is too long (65 characters, max 64)'],
    ['table', '_a', 'Name cannot start with underscore (reserved for system columns)'],
    ['namespace', '123x', 'Name cannot start with a number'],
    ['table', 'Select', "Name 'Select' is a reserved SQL keyword and cannot be used"],
    ['column', 'user', "Name 'user' is a reserved SQL keyword and cannot be used"],
    ['table', '', 'The name of a table cannot be empty'],
  ])('the %s name %j is refused', (what, name, reason) => {
    expect(() => checkName(what, name)).toThrow(expect.objectContaining({ code: 'NAME_REFUSED', message: `Invalid operation: ${reason}` }));
  });

  test.each([...RESERVED_COLUMNS])('the column %s is reserved', (name) => {
    const message = `Invalid operation: Invalid column name '${name}': Column name '${name}' is reserved and cannot be used`;
    expect(() => checkName('column', name)).toThrow(expect.objectContaining({ code: 'NAME_REFUSED', message }));
  });

  test.each([...RESERVED_NAMESPACES])('the namespace %s is reserved', (name) => {
    expect(() => checkName('namespace', name)).toThrow(expect.objectContaining({ code: 'NAMESPACE_RESERVED' }));
    expect(() => checkName('namespace', name.toUpperCase())).toThrow(expect.objectContaining({ code: 'NAMESPACE_RESERVED' }));
  });
});

test.each(['', 'a/b', '../b', 'a\\b', 'a\0'])('%j is no user', (name) => {
  expect(() => checkUserName(name)).toThrow(expect.objectContaining({ code: 'INVALID_NAME' }));
});

test.each(['alice', 'a.b@example.org', 'Ü', "o'hara"])('%s may be a user', (name) => {
  expect(() => checkUserName(name)).not.toThrow();
});
