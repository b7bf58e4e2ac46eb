import { checkObjectKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkTemplate, type FolderSubject, folderOf, type TemplateKind } from './folder-template.ts';

const SUBJECT: FolderSubject = { tableId: 1042, namespace: 'app', tableName: 'notes', owner: 'alice' };

const refusal = (kind: TemplateKind, template: string): string => {
  try {
    checkTemplate(kind, template);
    return '';
  } catch (error) {
    return String(error);
  }
};

describe('templates of storages', () => {
  it('are refused with the texts of the original', () => {
    const prefix = 'Invalid operation: Invalid storage template:';
    const refused: readonly (readonly [TemplateKind, string, string])[] = [
      ['shared', '{tableName}/{namespace}', 'Shared table template: {namespace} must appear before {tableName}'],
      ['shared', '{namespace}', 'Shared table template: {tableName} is required'],
      ['shared', '', 'Shared table template: {namespace} is required'],
      ['user', '{namespace}/{tableName}', 'User table template: {userId} is required'],
      ['user', '{userId}/{namespace}/{tableName}', 'User table template: {tableName} must appear before {userId}'],
      ['user', 'users/{userId}/{namespace}/{tableName}', 'User table template: {tableName} must appear before {userId}'],
      ['user', '{namespace}/{tableName}/{userId}/{shard}', 'User table template: {shard} must appear before {userId}'],
      ['user', '{namespace}/{shard}/{tableName}/{userId}', 'User table template: {tableName} must appear before {shard}'],
    ];
    for (const [kind, template, text] of refused) expect(refusal(kind, template)).toContain(`${prefix} ${text}`);
  });

  it('are refused when they could lead elsewhere or grow too long', () => {
    const refused: readonly (readonly [TemplateKind, string, string])[] = [
      ['shared', '{namespace}/{tableName}/{userId}', '{userId} is not known here'],
      ['shared', '{namespace}/{tableName}/{other}', '{other} is not known here'],
      ['shared', '{namespace}/{namespace}/{tableName}', '{namespace} is given twice'],
      ['shared', '../{namespace}/{tableName}', 'only letters'],
      ['shared', '{namespace}/{tableName}/./x', 'only letters'],
      ['shared', '{namespace}\\{tableName}', 'only letters'],
      ['shared', '{namespace}/{tableName}/{', 'only letters'],
      ['shared', '{namespace}/{tableName}\u0000', 'only letters'],
      ['shared', `{namespace}/{tableName}/${'x'.repeat(256)}`, 'too long'],
      ['shared', `{namespace}/{tableName}/${'x/'.repeat(200)}`, 'longer than'],
    ];
    for (const [kind, template, text] of refused) expect(refusal(kind, template)).toContain(text);
  });

  it('are filled in, whatever names their placeholders have', () => {
    const user = 'ns_{namespace}/tbl_{tableName}/{shard}/usr_{userId}';
    expect(folderOf('{namespace}/{tableName}', { ...SUBJECT, owner: '' })).toBe('app/notes/table.1042/');
    expect(folderOf(user, SUBJECT)).toMatch(/^ns_app\/tbl_notes\/\d\d\/usr_alice\/table\.1042\.[0-9a-f]{16}\/$/);
    expect(folderOf('/ns_{namespace_id}//tbl_{table_name}/{shard_id}/usr_{user_id}/', SUBJECT)).toBe(folderOf(user, SUBJECT));
    expect(folderOf('{namespace}/{tableName}/{userId}', { ...SUBJECT, owner: '../../Bob@x.com' })).toMatch(
      /^app\/notes\/______bob_x_com\.[0-9a-f]{32}\/table\.1042\.[0-9a-f]{16}\/$/,
    );
  });

  it('never give two partitions one folder, nor one inside another, nor one outside', () => {
    const literal = fc.stringMatching(/^[A-Za-z0-9_-]{0,4}\/?$/);
    const templateOf = (names: readonly string[]): fc.Arbitrary<string> =>
      fc.tuple(...Array.from({ length: names.length + 1 }, () => literal)).map((literals) => {
        return literals.map((text, index) => `${text}${names[index] === undefined ? '' : `{${names[index]}}`}`).join('');
      });
    const name = fc.constantFrom('a', 'b', 'ab', 'table', 't', 'x_1', 'x-1');
    const owner = fc.oneof(
      fc.constantFrom('alice', 'Alice', 'ALICE', '..', '.', '/', 'a/b', 'a', 'ab', 'con', 'table.1000', 'ä', 'a\u0308', 'x'.repeat(300)),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    );
    const partition = fc.oneof(
      fc.record({
        template: templateOf(['namespace', 'tableName', 'shard', 'userId']),
        subject: fc.record({ tableId: fc.integer({ min: 1000, max: 1003 }), namespace: name, tableName: name, owner }),
      }),
      fc.record({
        template: templateOf(['namespace', 'tableName']),
        subject: fc.record({ tableId: fc.integer({ min: 1004, max: 1006 }), namespace: name, tableName: name, owner: fc.constant('') }),
      }),
    );
    fc.assert(
      fc.property(fc.array(partition, { minLength: 2, maxLength: 12 }), (partitions) => {
        const folders = new Map<string, string>();
        for (const { template, subject } of partitions) {
          checkTemplate(subject.owner === '' ? 'shared' : 'user', template);
          const folder = folderOf(template, subject);
          checkObjectKey(`${folder}batch-0.parquet`);
          expect(folder.endsWith('/')).toBe(true);
          // Also where the case of letters makes no difference.
          const found = folders.get(folder.toLowerCase());
          const key = JSON.stringify([subject.tableId, subject.owner]);
          if (found !== undefined) expect(found).toBe(key);
          folders.set(folder.toLowerCase(), key);
        }
        for (const one of folders.keys()) for (const other of folders.keys()) expect(one !== other && other.startsWith(one)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
