import type { Row } from '@kalamdb/protocol';
import type { RowKey } from '@kalamdb/storage';
import { describe, expect, it } from 'vitest';
import type { RowChange } from '../contract.ts';
import { LiveCounters } from './counters.ts';
import { TABLES } from './live-world.fixture.ts';
import type { QueryGroup } from './query-group.ts';
import { QueryShape } from './query-shape.ts';
import type { LiveSources } from './sources.ts';

function group(maskedCells: readonly number[], filter?: QueryGroup['plan']['filter']): QueryGroup {
  const shape = new QueryShape({
    name: 'g',
    plan: {
      kind: 'subscription',
      table: TABLES.user,
      shape: 'g',
      projection: TABLES.user.columns,
      star: true,
      filter,
      mentionsDeleted: false,
      mentionsUser: false,
      routing: () => [],
    },
    partition: TABLES.user.partitionFor('alice'),
    sinceSeq: 0n,
    maskedCells,
    caller: {} as ReturnType<LiveSources['context']>,
    clock: { now: () => 0, elapsed: () => 0 },
    counters: new LiveCounters(),
  });
  return shape.group('', { parameters: [] });
}

const insert = (cells: Row): RowChange => ({ key: 'k' as RowKey, seq: 2n, createdSeq: 2n, deleted: false, cells, previous: undefined });

describe('a query', () => {
  it('reads masked columns as ***, in its filter too', () => {
    const masked = group([1], (row) => row.cells[1] !== 'secret');
    expect(masked.bodyOf(insert([1, 'secret', 5n]))?.json()).toBe(
      '"change_type":"insert","rows":[{"id":1,"name":"***","n":"5","_seq":"2","_deleted":false}]',
    );
    expect(masked.rowText(insert([1, null, 5n]))).toBe('{"id":1,"name":null,"n":"5","_seq":"2","_deleted":false}');
    expect(masked.matches(insert([1, 'secret', 5n]))).toBe(true);
  });

  it('says which row could not be encoded', () => {
    expect(() => group([]).bodyOf(insert([1, 5, 5n]))).toThrow(expect.objectContaining({ code: 'CONVERSION_ERROR' }));
  });
});
