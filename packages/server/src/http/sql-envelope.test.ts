import type { ResultColumn, StatementResult } from '@kalamdb/engine';
import { cellToJson, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foldBatch } from './batch-folding.ts';
import { failureEnvelope, successEnvelope } from './sql-envelope.ts';

const columns: readonly ResultColumn[] = [
  { name: 'id', type: plainType('bigint'), flags: ['pk', 'nn', 'uq'] },
  { name: 'na"me', type: plainType('text'), flags: [] },
];
const rows: StatementResult = {
  kind: 'rows',
  columns,
  rows: [
    [9007199254740993n, 'a"b'],
    [1n, null],
  ],
  asUser: 'alice',
};
const dml = (verb: 'insert' | 'update' | 'delete', rowCount: number): StatementResult => ({
  kind: 'message',
  message: 'm',
  rowCount,
  dml: verb,
  asUser: 'bob',
});
const context = { caller: 'alice', tookMillis: 1.23456 };
const schema = [
  { name: 'id', data_type: 'BigInt', index: 0, flags: ['pk', 'nn', 'uq'] },
  { name: 'na"me', data_type: 'Text', index: 1 },
];
const cells = [
  ['9007199254740993', 'a"b'],
  ['1', null],
];

test('one statement with rows is serialised as the stream', () => {
  expect(JSON.parse(successEnvelope([rows], context))).toEqual({
    status: 'success',
    results: [{ schema, rows: cells, row_count: 2, as_user: 'alice' }],
    took: 1.235,
    error: null,
  });
  const empty = JSON.parse(successEnvelope([{ kind: 'rows', columns: [], rows: [], asUser: 'alice' }], context)) as { results: unknown[] };
  expect(empty.results).toEqual([{ schema: [], rows: [], row_count: 0, as_user: 'alice' }]);
});

test('everything else leaves out what is empty', () => {
  expect(JSON.parse(successEnvelope([dml('insert', 2)], context))).toEqual({
    status: 'success',
    results: [{ row_count: 2, message: 'm', as_user: 'bob' }],
    took: 1.235,
  });
  const batch = JSON.parse(successEnvelope([rows, { ...rows, columns: [], rows: [] }], context)) as { results: unknown[]; error?: unknown };
  expect(batch.results).toEqual([
    { schema, rows: cells, row_count: 2, as_user: 'alice' },
    { rows: [], row_count: 0, as_user: 'alice' },
  ]);
  expect('error' in batch).toBe(false);
});

test('DML of a batch is folded to the end in the name of the caller', () => {
  const folded = foldBatch([dml('delete', 1), rows, dml('insert', 2), dml('update', 0), dml('insert', 3)], 'alice');
  expect(folded).toEqual([
    rows,
    { kind: 'message', message: 'Inserted 5 row(s)', rowCount: 5, dml: 'insert', asUser: 'alice' },
    { kind: 'message', message: 'Deleted 1 row(s)', rowCount: 1, dml: 'delete', asUser: 'alice' },
  ]);
  expect(foldBatch([dml('update', 0)], 'alice')).toEqual([dml('update', 0)]);
});

test('failures', () => {
  const failure = { status: 400, code: 'X', message: 'a "b"', details: undefined };
  expect(JSON.parse(failureEnvelope(failure, 0))).toEqual({
    status: 'error',
    results: [],
    took: 0,
    error: { code: 'X', message: 'a "b"' },
  });
  expect(JSON.parse(failureEnvelope({ ...failure, details: 'SELECT' }, 5))).toMatchObject({ error: { details: 'SELECT' } });
});

test('the text is JSON with the cells of the one codec, whatever the cells hold', () => {
  const cell = fc.tuple(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.option(fc.string({ unit: 'grapheme' }), { nil: null }));
  fc.assert(
    fc.property(fc.array(cell), (table) => {
      const body = JSON.parse(successEnvelope([{ kind: 'rows', columns, rows: table, asUser: 'alice' }], context)) as {
        results: [{ rows: unknown }];
      };
      expect(body.results[0].rows).toEqual(
        table.map((row) => row.map((value, i) => JSON.parse(cellToJson(value, columns[i]?.type ?? plainType('text'))) as unknown)),
      );
    }),
  );
});
