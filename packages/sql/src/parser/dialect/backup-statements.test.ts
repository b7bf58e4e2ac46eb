import { expect, test } from 'vitest';
import type { Statement } from '../../statement/ast.ts';
import { parseStatement } from '../parse.ts';

const whole = { namespace: undefined, ifExists: false, incremental: false } as const;

test.each<[string, Statement]>([
  ["BACKUP DATABASE TO './x'", { kind: 'backup-database', ...whole, place: './x' }],
  ["backup database App to 'x' mode Full;", { kind: 'backup-database', ...whole, namespace: 'app', place: 'x' }],
  [
    "BACKUP DATABASE IF EXISTS \"to\" TO 'it''s' MODE INCREMENTAL",
    { kind: 'backup-database', namespace: 'to', ifExists: true, incremental: true, place: "it's" },
  ],
  ["BACKUP VERIFY 'x'", { kind: 'backup-verify', place: 'x', namespace: undefined }],
  ["BACKUP VERIFY 'x' FOR DATABASE app", { kind: 'backup-verify', place: 'x', namespace: 'app' }],
  ["RESTORE DATABASE FROM 'x'", { kind: 'restore-database', namespace: undefined, ifNotExists: false, place: 'x' }],
  ["RESTORE DATABASE IF NOT EXISTS App FROM 'x'", { kind: 'restore-database', namespace: 'app', ifNotExists: true, place: 'x' }],
  ["SHOW BACKUP 'x'", { kind: 'show-backup', place: 'x', namespace: undefined }],
  ["SHOW BACKUP 'x' FOR DATABASE app", { kind: 'show-backup', place: 'x', namespace: 'app' }],
  ['SHOW BACKUP FOR DATABASE App', { kind: 'show-backups', namespace: 'app' }],
  ['SHOW BACKUPS FOR DATABASE app', { kind: 'show-backups', namespace: 'app' }],
])('%s', (text, statement) => {
  expect(parseStatement(text)).toEqual(statement);
});

test.each<[string, string]>([
  ['BACKUP DATABASE app', 'Expected TO clause in BACKUP DATABASE'],
  ['BACKUP DATABASE TO x', 'a path in quotes'],
  ["BACKUP DATABASE TO 'x' MODE PARTIAL", 'Expected: FULL or INCREMENTAL'],
  ["BACKUP DATABASE TO 'x' app", 'Expected'],
  ["RESTORE DATABASE app TO 'x'", 'Expected FROM clause in RESTORE DATABASE'],
  ['SHOW BACKUPS', 'Expected: FOR'],
])('%s is refused', (text, reason) => {
  expect(() => parseStatement(text)).toThrow(reason);
});
