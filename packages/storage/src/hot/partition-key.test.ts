import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionId } from '../contract.ts';
import { ownerBytesMax, partitionPrefix, prefixEnd, prefixOwner, seqKey } from './partition-key.ts';

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');
const order = (a: string | Buffer, b: string | Buffer): number =>
  Math.sign(Buffer.compare(Buffer.from(a as string, 'latin1'), Buffer.from(b as string, 'latin1')));
const owner = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom('\0', '\x01', '\x02', 'a', 'é'), maxLength: 6 }),
);
const partition: fc.Arbitrary<PartitionId> = fc.record({ tableId: fc.constantFrom(1, 2, 255, 256, 1_000, 2 ** 31, 2 ** 32 - 1), owner });

describe('a partition prefix', () => {
  it('has the documented bytes', () => {
    expect(hex(partitionPrefix({ tableId: 1, owner: '' }))).toBe('0000000100');
    expect(hex(partitionPrefix({ tableId: 258, owner: 'al' }))).toBe('00000102616c00');
    expect(hex(partitionPrefix({ tableId: 1, owner: 'a\0b' }))).toBe('000000016101016200');
    expect(hex(seqKey(2n ** 40n + 5n))).toBe('0000010000000005');
  });

  it('gives its owner back, and is never the beginning of another partition', () => {
    fc.assert(
      fc.property(partition, partition, (a, b) => {
        expect(prefixOwner(partitionPrefix(a))).toBe(a.owner);
        const same = a.tableId === b.tableId && a.owner === b.owner;
        expect(partitionPrefix(a).startsWith(partitionPrefix(b))).toBe(same);
      }),
    );
  });

  it('is in the order of table id and the owner as UTF-8, with each partition in one piece', () => {
    fc.assert(
      fc.property(partition, partition, fc.string({ unit: 'binary-ascii' }), (a, b, rowKey) => {
        const expected = Math.sign(a.tableId - b.tableId) || Math.sign(Buffer.compare(Buffer.from(a.owner), Buffer.from(b.owner)));
        expect(order(partitionPrefix(a), partitionPrefix(b))).toBe(expected);
        if (expected !== 0) expect(order(`${partitionPrefix(a)}${rowKey}`, partitionPrefix(b))).toBe(expected);
        expect(order(`${partitionPrefix(a)}\xff${rowKey}`, prefixEnd(partitionPrefix(a)))).toBe(-1);
      }),
    );
  });

  it('refuses owners that it cannot hold', () => {
    expect(() => partitionPrefix({ tableId: 1, owner: 'a'.repeat(ownerBytesMax + 1) })).toThrowError(/bytes/);
    expect(() => partitionPrefix({ tableId: 1, owner: '\ud800' })).toThrowError(/surrogate/);
    expect(() => partitionPrefix({ tableId: 2 ** 32, owner: '' })).toThrowError(/out of range/);
  });
});
