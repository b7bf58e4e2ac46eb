import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Commit, RowKey } from '../contract.ts';
import { decodeCommit, encodeCommit, encodeCommitSteps, renumberCommitSteps } from './commit-codec.ts';

const seq = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
const row = fc.record({
  key: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1') as RowKey),
  seq,
  createdSeq: seq,
  replacedSeq: fc.oneof(fc.constant(0n), seq),
  deleted: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 60 }),
  masks: fc.option(fc.record({ segment: fc.nat(0xffff_ffff), row: fc.nat(0x7fff_ffff), deleted: fc.boolean() }), { nil: undefined }),
});
const commit: fc.Arbitrary<Commit> = fc.record({
  seq,
  parts: fc.array(
    fc.record({
      partition: fc.record({ tableId: fc.integer({ min: 1, max: 2 ** 32 - 1 }), owner: fc.string({ unit: 'grapheme' }) }),
      rows: fc.array(
        fc.oneof(
          row,
          row.map((other) => ({ ...other, createdSeq: other.seq })),
        ),
        { maxLength: 5 },
      ),
    }),
    { maxLength: 4 },
  ),
});

const tombstone: Commit = {
  seq: 5n,
  parts: [
    {
      partition: { tableId: 7, owner: 'al' },
      rows: [{ key: '' as RowKey, seq: 5n, createdSeq: 4n, replacedSeq: 4n, deleted: true, bytes: new Uint8Array() }],
    },
  ],
};

describe('the commit codec', () => {
  it('has the documented bytes', () => {
    const parts = [
      '01000000000000000500000001',
      '000000070002616c00000001',
      '07000000000000000500000000000000040000000000000004000000000000',
    ];
    expect(Buffer.from(encodeCommit(tombstone)).toString('hex')).toBe(parts.join(''));
    expect(Buffer.from(encodeCommit({ seq: 1n, parts: [] })).toString('hex')).toBe('01000000000000000100000000');
  });

  it('writes the mask of a row before its key', () => {
    const masks = { segment: 3, row: 7, deleted: true };
    const rows = [{ key: 'k' as RowKey, seq: 5n, createdSeq: 5n, replacedSeq: 0n, masks, deleted: false, bytes: new Uint8Array() }];
    const encoded = Buffer.from(encodeCommit({ seq: 5n, parts: [{ partition: { tableId: 7, owner: '' }, rows }] }));
    expect(encoded.toString('hex').slice(-48)).toBe('080000000000000005000000038000000700016b00000000'.slice(-48));
  });

  it('makes the same bytes at once and in steps', () => {
    const inSteps = (given: Commit): Uint8Array => {
      const steps = encodeCommitSteps(given);
      for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
    };
    fc.assert(
      fc.property(commit, (given) => {
        expect(encodeCommit(given)).toEqual(inSteps(given));
      }),
    );
  });

  it('gives every commit back', () => {
    fc.assert(
      fc.property(commit, (given) => {
        expect(decodeCommit(encodeCommit(given))).toEqual(given);
      }),
    );
  });

  it('refuses what it cannot have made: every beginning of a commit, a longer one, another format', () => {
    const bytes = encodeCommit(tombstone);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeCommit(bytes.subarray(0, length))).toThrowError(expect.objectContaining({ code: 'DAMAGED_DATA' }));
    }
    expect(() => decodeCommit(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrowError(/after its end/);
    expect(() => decodeCommit(Buffer.from([2, ...bytes.subarray(1)]))).toThrowError(/format 2/);
  });
});

it('a commit that was given other seqs is as if it had been encoded with them', () => {
  fc.assert(
    fc.property(commit, fc.bigInt({ min: 1n, max: 2n ** 62n }), (given, first) => {
      const payload = encodeCommit(given);
      let next = first;
      const steps = renumberCommitSteps(payload, first, () => next++);
      while (steps.next().done !== true);
      let seq = first;
      const parts = given.parts.map(({ partition, rows }) => ({
        partition,
        rows: rows.map((row) => ({ ...row, createdSeq: row.createdSeq === row.seq ? seq : row.createdSeq, seq: seq++ })),
      }));
      expect(decodeCommit(payload)).toEqual({ seq: first, parts });
    }),
  );
});
