import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Commit, RowKey } from '../contract.ts';
import { decodeCommit, encodeCommit, readMask } from './commit-codec.ts';
import { CommitRows } from './commit-rows.ts';

const seqs = fc.bigInt({ min: 1n, max: (1n << 63n) - 1n });
const row = fc
  .record({
    key: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1') as RowKey),
    seq: seqs,
    created: fc.option(seqs, { nil: undefined }),
    replacedSeq: fc.oneof(fc.constant(0n), seqs),
    deleted: fc.boolean(),
    bytes: fc.uint8Array({ maxLength: 300 }),
    masks: fc.option(fc.record({ segment: fc.nat(0xffff_ffff), row: fc.nat(0x7fff_ffff), deleted: fc.boolean() }), { nil: undefined }),
  })
  .map(({ created, ...rest }) => ({ ...rest, createdSeq: created ?? rest.seq }));
const commits: fc.Arbitrary<Commit> = fc.record({
  seq: seqs,
  parts: fc.array(
    fc.record({
      partition: fc.record({ tableId: fc.integer({ min: 1, max: 0xffff_ffff }), owner: fc.string({ maxLength: 12 }) }),
      rows: fc.array(row, { maxLength: 5 }),
    }),
    { maxLength: 4 },
  ),
});

/** The commit that a walk over the rows sees. */
const walked = (payload: Buffer, start: number, bytes: number): Commit => {
  const rows = new CommitRows(payload);
  const nameAt = rows.open(payload, start, bytes);
  const parts: { partition: { tableId: number; owner: string }; rows: Commit['parts'][number]['rows'][number][] }[] = [];
  while (rows.nextPart()) {
    const owner = payload.toString('utf8', rows.ownerStart, rows.ownerStart + rows.ownerBytes);
    const part: (typeof parts)[number] = { partition: { tableId: rows.tableId, owner }, rows: [] };
    while (rows.nextRow()) {
      part.rows.push({
        key: payload.toString('latin1', rows.keyStart, rows.keyStart + rows.keyBytes) as RowKey,
        seq: payload.readBigUInt64BE(rows.seqStart),
        createdSeq: payload.readBigUInt64BE(rows.createdStart),
        replacedSeq: rows.hasReplaced ? payload.readBigUInt64BE(rows.replacedStart) : 0n,
        masks: rows.hasMask ? readMask(payload, rows.maskStart) : undefined,
        deleted: rows.deleted,
        bytes: Uint8Array.from(payload.subarray(rows.cellsStart, rows.cellsStart + rows.cellsBytes)),
      });
    }
    parts.push(part);
  }
  return { seq: payload.readBigUInt64BE(nameAt), parts };
};

const plain = ({ seq, parts }: Commit): Commit => ({
  seq,
  parts: parts.map(({ partition, rows }) => ({ partition, rows: rows.map((one) => ({ ...one, bytes: Uint8Array.from(one.bytes) })) })),
});

const outcome = (action: () => Commit): unknown => {
  try {
    return plain(action());
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
};

describe('a walk over the rows of an encoded commit', () => {
  it('sees what decoding it gives, wherever it lies', () => {
    fc.assert(
      fc.property(commits, fc.nat(20), (commit, before) => {
        const payload = Buffer.from(encodeCommit(commit));
        const inside = Buffer.concat([Buffer.alloc(before, 0xff), payload, Buffer.alloc(7, 0xff)]);
        expect(walked(inside, before, payload.length)).toEqual(plain(decodeCommit(payload)));
      }),
    );
  });

  it('refuses what decoding refuses', () => {
    fc.assert(
      fc.property(commits, fc.nat(), fc.nat(255), fc.nat(3), (commit, at, byte, cut) => {
        const whole = Buffer.from(encodeCommit(commit));
        const payload = whole.subarray(0, whole.length - cut);
        payload.writeUInt8(byte, at % payload.length);
        expect(outcome(() => walked(payload, 0, payload.length))).toEqual(outcome(() => decodeCommit(payload)));
      }),
      { numRuns: 300 },
    );
  });
});
