import { ERRORS, KalamError, kalamError } from '@kalamdb/protocol';
import { expect, it } from 'vitest';
import { applyFailure, diskFailure, readHot } from './disk-failure.ts';

const lmdb = Object.assign(new Error('MDB_BAD_TXN: Transaction must abort'), { code: -30782 });
const system = Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
const segment = expect.objectContaining({ code: 'SEGMENT_WRITE_FAILED', message: expect.stringContaining('batch-3.parquet') });

it('what LMDB and the disk refuse can be tried again, and names the segment', () => {
  for (const error of [lmdb, system]) {
    expect(diskFailure(error, 'batch-3.parquet')).toEqual(segment);
    const read = (): never => {
      throw error;
    };
    expect(() => readHot({ number: 3 }, read)).toThrow(segment);
    const failure = diskFailure(error, 'batch-3.parquet');
    expect(failure instanceof KalamError && ERRORS[failure.code].retryable).toBe(true);
  }
});

it('every other failure stays what it is', () => {
  const others = [
    new TypeError('x is not a function'),
    kalamError('DAMAGED_DATA', { where: 'a', reason: 'b' }),
    kalamError('SHUTTING_DOWN'),
  ];
  for (const error of others) expect([diskFailure(error, 'p'), applyFailure(error, 'p')]).toEqual([error, error]);
  expect(applyFailure(kalamError('INTERNAL_ERROR', { reason: 'MDB_MAP_FULL' }), 'batch-3.parquet')).toEqual(segment);
});
