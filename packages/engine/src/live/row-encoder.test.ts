import type { Row } from '@kalamdb/protocol';
import type { RowKey } from '@kalamdb/storage';
import { describe, expect, it } from 'vitest';
import type { RowVersion } from '../contract.ts';
import { SharedBody } from './frame.ts';
import { TABLES } from './live-world.fixture.ts';
import { RowEncoder } from './row-encoder.ts';

const STAR = { table: TABLES.user, projection: TABLES.user.columns, star: true };
const project = (...names: string[]) => ({
  ...STAR,
  projection: TABLES.user.columns.filter(({ name }) => names.includes(name)),
  star: false,
});

function version(seq: bigint, cells: Row, deleted = false): RowVersion {
  return { key: 'k' as RowKey, seq, createdSeq: 1n, deleted, cells };
}

const parsed = (members: string): unknown => JSON.parse(`{${members}}`);

describe('frames of SELECT *', () => {
  const encoder = new RowEncoder(STAR);

  it('an insert has all columns, NULLs, _seq and _deleted', () => {
    expect(parsed(encoder.insert(version(2n, [2, null, null])))).toEqual({
      change_type: 'insert',
      rows: [{ id: 2, name: null, n: null, _seq: '2', _deleted: false }],
    });
  });

  it('an update has the key and what is not NULL, and of the old row the key and what changed', () => {
    expect(parsed(encoder.update(version(3n, [2, 'b', null]), version(2n, [2, 'b', 7n])))).toEqual({
      change_type: 'update',
      rows: [{ id: 2, name: 'b', _seq: '3' }],
      old_values: [{ id: 2, n: '7', _seq: '2' }],
    });
    expect(parsed(encoder.update(version(3n, [2, 'b', 8n]), version(2n, [2, null, 8n])))).toEqual({
      change_type: 'update',
      rows: [{ id: 2, name: 'b', n: '8', _seq: '3' }],
      old_values: [{ id: 2, name: null, _seq: '2' }],
    });
  });

  it('a delete has the last row, the new _seq and _deleted', () => {
    expect(parsed(encoder.delete([3, 'xyz', 30n], 9n))).toEqual({
      change_type: 'delete',
      old_values: [{ id: 3, name: 'xyz', n: '30', _seq: '9', _deleted: true }],
    });
  });

  it('a removal has key and _seq only', () => {
    expect(parsed(encoder.removal(version(9n, [3, 'xyz', 30n], true)))).toEqual({
      change_type: 'delete',
      old_values: [{ id: 3, _seq: '9' }],
    });
  });

  it('names the columns with their flags', () => {
    expect(encoder.schema.map(({ name, type, flags }) => [name, type.kind, ...flags])).toEqual([
      ['id', 'int', 'pk', 'nn', 'uq'],
      ['name', 'text'],
      ['n', 'bigint'],
      ['_seq', 'bigint', 'nn'],
      ['_deleted', 'boolean', 'nn'],
    ]);
  });
});

describe('frames of a projection', () => {
  const encoder = new RowEncoder(project('name'));

  it('rows have the projected columns and _seq', () => {
    expect(parsed(encoder.insert(version(2n, [2, 'b', 20n])))).toEqual({ change_type: 'insert', rows: [{ name: 'b', _seq: '2' }] });
    expect(parsed(encoder.delete([2, 'B', 21n], 5n))).toEqual({ change_type: 'delete', old_values: [{ name: 'B', _seq: '5' }] });
    expect(encoder.schema.map(({ name }) => name)).toEqual(['name']);
  });

  it('updates have the key too, also when nothing projected changed', () => {
    expect(parsed(encoder.update(version(3n, [2, 'B', 20n]), version(2n, [2, 'b', 20n])))).toEqual({
      change_type: 'update',
      rows: [{ id: 2, name: 'B', _seq: '3' }],
      old_values: [{ id: 2, name: 'b', _seq: '2' }],
    });
    expect(parsed(encoder.update(version(4n, [2, 'B', 21n]), version(3n, [2, 'B', 20n])))).toEqual({
      change_type: 'update',
      rows: [{ id: 2, name: 'B', _seq: '4' }],
      old_values: [{ id: 2, _seq: '3' }],
    });
  });

  it('a removal has the key although it is not projected', () => {
    expect(parsed(encoder.removal(version(9n, [3, 'x', 1n], true)))).toEqual({ change_type: 'delete', old_values: [{ id: 3, _seq: '9' }] });
  });
});

describe('other tables', () => {
  it('a deleted stream event is named by owner and _seq', () => {
    expect(parsed(new RowEncoder(STAR).eventRemoval('al"ice', 7n))).toEqual({
      change_type: 'delete',
      old_values: [{ row_id: 'al"ice:7' }],
    });
  });

  it('rows of system tables have no _deleted', () => {
    const encoder = new RowEncoder({ table: TABLES.system, projection: TABLES.system.columns, star: true });
    expect(parsed(encoder.insert(version(2n, [2, 'b', 20n])))).toEqual({
      change_type: 'insert',
      rows: [{ id: 2, name: 'b', n: '20', _seq: '2' }],
    });
  });

  it('a column added after a row was written reads as NULL', () => {
    expect(parsed(new RowEncoder(STAR).insert(version(2n, [2])))).toMatchObject({ rows: [{ id: 2, name: null, n: null }] });
  });
});

describe('a shared body', () => {
  it('is encoded once', () => {
    let count = 0;
    const body = new SharedBody(0, () => `"n":${++count}`);
    expect([body.json(), body.json(), count]).toEqual(['"n":1', '"n":1', 1]);
  });
});
