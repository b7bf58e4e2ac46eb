import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { attempt } from './crashed-log.fake.ts';
import { encodeRecords } from './log-format.ts';
import { RecordScanner } from './record-scanner.ts';

const names = (source: Buffer, seed: number): bigint[] => {
  const scanner = new RecordScanner(source, { seq: 0n, crc: seed });
  const found: bigint[] = [];
  while (scanner.next()) found.push(scanner.seq);
  return found;
};

describe('a record scanner', () => {
  const entries = [attempt(3n, 'a'), attempt(4n, 'b'), attempt(9n, 'c')];

  it('walks over records that were written after one another', () => {
    const { bytes, crc } = encodeRecords(entries, 7);
    const scanner = new RecordScanner(bytes, { seq: 0n, crc: 7 });
    for (const entry of entries) {
      expect(scanner.next()).toBe(true);
      expect({ ...scanner.entry(), payload: Buffer.from(scanner.entry().payload) }).toEqual(entry);
    }
    expect([scanner.next(), scanner.crc, scanner.walked]).toEqual([false, crc, bytes.length]);
  });

  it('ends where the chain was begun otherwise, though every record is whole', () => {
    const { bytes } = encodeRecords(entries, 7);
    expect(names(bytes, 8)).toEqual([]);
    const other = encodeRecords([attempt(10n, 'd')], 7).bytes;
    expect(names(Buffer.concat([bytes, other]), 7)).toEqual([3n, 4n, 9n]);
  });

  it('ends where a name does not rise, though the chain goes on', () => {
    const { bytes } = encodeRecords([...entries, attempt(9n, 'again')], 7);
    expect(names(bytes, 7)).toEqual([3n, 4n, 9n]);
  });

  it('says how much it needs of a record that it sees the begin of', () => {
    const { bytes } = encodeRecords([attempt(3n, 'a', 500)], 7);
    const scanner = new RecordScanner(bytes.subarray(0, 100), { seq: 0n, crc: 7 });
    expect([scanner.next(), scanner.needed]).toEqual([false, bytes.length]);
    const zeros = new RecordScanner(Buffer.alloc(100), { seq: 0n, crc: 7 });
    expect([zeros.next(), zeros.needed]).toEqual([false, 0]);
  });
});
