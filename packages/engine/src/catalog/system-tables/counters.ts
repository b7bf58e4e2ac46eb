import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, required, systemTable } from './system-table.ts';

/** Numbers that only rise, kept so that no restart and no purge can give one out twice. Not visible to statements. */
export const COUNTERS: Table = systemTable({
  id: 10,
  name: 'counters',
  comment: 'Numbers that only rise',
  columns: [key('name', 'text', 'What is counted'), required('value', 'bigint', 'The next number that is free')],
});

/** Name of the counter that holds the next free table id. */
export const NEXT_TABLE_ID = 'next_table_id';

/** One counter. */
interface CounterRecord {
  readonly name: string;
  readonly value: bigint;
}

/** Reads and writes the counters. */
export const counterRepository: Repository<CounterRecord> = new Repository<CounterRecord>(COUNTERS, {
  toRow: (record) => [record.name, record.value],
  fromRow: (cells) => {
    const reader = new CellReader(COUNTERS.name, cells);
    return { name: reader.text(), value: reader.bigint() };
  },
});
