import { plainType } from '@kalamdb/protocol';
import { expect, it } from 'vitest';
import { nextRecord } from './alter-record.ts';
import { NO_OPTIONS } from './table.ts';
import { TableEntry } from './table-entry.ts';
import { newTableRecord, type TableRecord, tableRecordCells } from './table-record.ts';

const FIRST: TableRecord = newTableRecord({
  tableId: 1000,
  namespace: 'app',
  name: 't',
  kind: 'shared',
  columns: [{ name: 'id', type: plainType('int'), nullable: false, primaryKey: true, default: undefined }],
  options: NO_OPTIONS,
  accessLevel: 'private',
  nowMicros: 0n,
});

it('a new version is read without reading the older ones again', () => {
  const entry = new TableEntry(FIRST);
  entry.put(1, tableRecordCells(FIRST), 1n);
  let record = FIRST;
  for (let version = 2; version <= 50; version++) {
    const before = entry.records();
    record = nextRecord(record, { columns: record.columns, accessLevel: 'public' }, BigInt(version));
    entry.put(version, tableRecordCells(record), BigInt(version));
    expect(entry.records().slice(0, -1)).toEqual(before);
    for (const [index, known] of before.entries()) expect(entry.records()[index]).toBe(known);
    expect(entry.table()).toMatchObject({ version, sinceSeq: BigInt(version) });
  }
  entry.put(49, tableRecordCells({ ...record, version: 49, comment: 'changed' }), 99n);
  expect(entry.records()[48]).toMatchObject({ version: 49, comment: 'changed' });
  expect(entry.table()?.sinceSeq).toBe(50n);
});
