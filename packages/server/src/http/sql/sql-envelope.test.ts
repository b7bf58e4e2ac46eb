import type { ResultColumn, RowStream, StatementResult } from '@kalamdb/engine';
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
const context = { caller: 'alice', tookMillis: () => 1.23456 };
const schema = [
  { name: 'id', data_type: 'BigInt', index: 0, flags: ['pk', 'nn', 'uq'] },
  { name: 'na"me', data_type: 'Text', index: 1 },
];
const cells = [
  ['9007199254740993', 'a"b'],
  ['1', null],
];

/** The whole body, however many pieces it has. */
function body(...of: Parameters<typeof successEnvelope>): string {
  const envelope = successEnvelope(...of);
  if (typeof envelope === 'string') return envelope;
  let text = envelope.first;
  for (;;) {
    const { done, value } = envelope.rest.next();
    if (typeof value !== 'string') throw new Error('nothing is streamed');
    text += value;
    if (done === true) return text;
  }
}

test('one statement with rows is serialised as the stream', () => {
  expect(JSON.parse(body([rows], context))).toEqual({
    status: 'success',
    results: [{ schema, rows: cells, row_count: 2, as_user: 'alice' }],
    took: 1.235,
    error: null,
  });
  const empty = JSON.parse(body([{ kind: 'rows', columns: [], rows: [], asUser: 'alice' }], context)) as { results: unknown[] };
  expect(empty.results).toEqual([{ schema: [], rows: [], row_count: 0, as_user: 'alice' }]);
});

test('everything else leaves out what is empty', () => {
  expect(JSON.parse(body([dml('insert', 2)], context))).toEqual({
    status: 'success',
    results: [{ row_count: 2, message: 'm', as_user: 'bob' }],
    took: 1.235,
  });
  const batch = JSON.parse(body([rows, { ...rows, columns: [], rows: [] }], context)) as { results: unknown[]; error?: unknown };
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
      const read = JSON.parse(body([{ kind: 'rows', columns, rows: table, asUser: 'alice' }], context)) as {
        results: [{ rows: unknown }];
      };
      expect(read.results[0].rows).toEqual(
        table.map((row) => row.map((value, i) => JSON.parse(cellToJson(value, columns[i]?.type ?? plainType('text'))) as unknown)),
      );
    }),
  );
});

test('a long answer comes in pieces of one size, and is the same text', () => {
  const long: StatementResult = { ...rows, rows: Array.from({ length: 20_000 }, (_, i) => [BigInt(i), `name ${i}`]) };
  const envelope = successEnvelope([long], context);
  if (typeof envelope === 'string') throw new Error('the answer came at once');
  const pieces = [envelope.first];
  for (let step = envelope.rest.next(); ; step = envelope.rest.next()) {
    pieces.push(String(step.value));
    if (step.done === true) break;
  }
  expect(pieces.length).toBeGreaterThan(5);
  for (const piece of pieces.slice(0, -1)) expect(piece.length).toBeLessThan(70_000);
  const read = JSON.parse(pieces.join('')) as { results: [{ rows: unknown[]; row_count: number }] };
  expect([read.results[0].row_count, read.results[0].rows.length, read.results[0].rows[19_999]]).toEqual([
    20_000,
    20_000,
    ['19999', 'name 19999'],
  ]);
  const batch = JSON.parse(body([long, dml('insert', 2), long], context)) as { results: { row_count: number }[] };
  expect(batch.results.map(({ row_count }) => row_count)).toEqual([20_000, 20_000, 2]);
});

test('a stream is closed when its reader leaves before its turn', () => {
  let closed = 0;
  const stream: RowStream = {
    columns,
    next: () => Promise.resolve(undefined),
    close: () => {
      closed += 1;
      return Promise.resolve();
    },
  };
  const many: StatementResult = { kind: 'rows', columns, rows: Array.from({ length: 5000 }, () => [1n, 'a long name']), asUser: 'alice' };
  const envelope = successEnvelope([many, { kind: 'stream', stream, asUser: 'alice' }], context);
  if (typeof envelope === 'string') throw new Error('all of it came at once');
  envelope.rest.return('');
  expect(closed).toBe(1);
});
