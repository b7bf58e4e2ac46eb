import { expect, test } from 'vitest';
import type { Statement, StorageSettings } from '../../statement/ast.ts';
import { parseStatement } from '../parse.ts';

const settings = (given: Partial<StorageSettings>): StorageSettings => ({
  displayName: undefined,
  description: undefined,
  sharedTablesTemplate: undefined,
  userTablesTemplate: undefined,
  credentials: undefined,
  config: undefined,
  ...given,
});

test.each<[string, Statement]>([
  [
    "CREATE STORAGE S1 TYPE filesystem PATH './x'",
    {
      ...{ kind: 'create-storage', name: 's1', ifNotExists: false, type: 'filesystem', location: './x' },
      ...{ region: undefined, settings: settings({}) },
    },
  ],
  [
    `create storage if not exists "far" type 'S3' name 'it''s' description 'd' bucket 'b' region 'r' shared_tables_template 's'
       user_tables_template 'u' credentials '{"a":1}' config '{}';`,
    {
      ...{ kind: 'create-storage', name: 'far', ifNotExists: true, type: 's3', location: 'b', region: 'r' },
      settings: {
        ...{ displayName: "it's", description: 'd', sharedTablesTemplate: 's', userTablesTemplate: 'u' },
        ...{ credentials: '{"a":1}', config: '{}' },
      },
    },
  ],
  [
    "CREATE STORAGE far TYPE gcs CONFIG '{}' BASE_DIRECTORY 'gs://b'",
    {
      ...{ kind: 'create-storage', name: 'far', ifNotExists: false, type: 'gcs', location: 'gs://b' },
      ...{ region: undefined, settings: settings({ config: '{}' }) },
    },
  ],
  [
    "ALTER STORAGE far SET NAME 'n' SET CONFIG '{}' SET CREDENTIALS '{}'",
    { kind: 'alter-storage', name: 'far', settings: settings({ displayName: 'n', config: '{}', credentials: '{}' }) },
  ],
  ['DROP STORAGE far', { kind: 'drop-storage', name: 'far', ifExists: false }],
  ['DROP STORAGE IF EXISTS my_store', { kind: 'drop-storage', name: 'my_store', ifExists: true }],
  ['STORAGE CHECK far', { kind: 'storage-check', name: 'far', extended: false }],
  ["STORAGE CHECK 'Far' EXTENDED", { kind: 'storage-check', name: 'far', extended: true }],
])('%s', (text, statement) => {
  expect(parseStatement(text)).toEqual(statement);
});

test.each<[string, string]>([
  ["CREATE STORAGE s TYPE floppy PATH 'x'", "Invalid storage type 'floppy'. Must be 'filesystem', 's3', 'gcs', or 'azure'"],
  ['CREATE STORAGE s TYPE filesystem', 'BASE_DIRECTORY keyword not found'],
  ["CREATE STORAGE s TYPE s3 NAME 'n'", 'BUCKET keyword not found'],
  ["CREATE STORAGE s TYPE s3 BUCKET 'a' PATH 'b'", 'PATH and BUCKET exclude each other'],
  ["CREATE STORAGE s PATH 'x'", 'Expected: TYPE'],
  ["CREATE STORAGE s TYPE filesystem PATH 'x' PATH 'y'", 'PATH is given twice'],
  ["CREATE STORAGE s TYPE filesystem PATH 'x' COLOUR 'y'", 'Expected: NAME, DESCRIPTION, PATH'],
  ['CREATE STORAGE s TYPE filesystem PATH x', 'Expected: a text behind PATH'],
  ['ALTER STORAGE s', 'Expected: SET'],
  ["ALTER STORAGE s SET PATH 'x'", 'Expected: NAME, DESCRIPTION, SHARED_TABLES_TEMPLATE'],
  ["ALTER STORAGE s SET NAME 'x' DESCRIPTION 'y'", 'Expected: SET'],
  ['DROP STORAGE', 'Expected: a storage name'],
  ['STORAGE CHECK s FULL', 'Expected: the end of the statement'],
])('%s is refused', (text, reason) => {
  expect(() => parseStatement(text)).toThrow(reason);
});
