import type { RecordBlock } from '../contract.ts';
import type { FileCommitLog } from '../log/file-log.ts';
import type { LmdbStore } from './lmdb-store.ts';

/** Payload bytes of the first batch: small, so that the applier begins while the log is still being read. */
const FIRST_BATCH_BYTES = 2 * 1024 * 1024;
/**
 * Payload bytes of the largest batch. Each batch writes every page that it touches once: with keys in no order eight batches write
 * the whole store eight times. Bounded by memory: two batches exist at a time, and LMDB holds the pages of one.
 */
export const catchUpBatchBytesMax: number = 32 * 1024 * 1024;
const BATCH_GROWTH = 4;

/**
 * Brings the hot tier to the end of the log as it was found at opening. Reading a batch and applying the one before go on at the same
 * time. Rejects as `replay` and `apply` do; what was applied before stays, and calling it again continues there.
 */
export async function catchUp(log: FileCommitLog, hot: LmdbStore): Promise<void> {
  let batch: RecordBlock[] = [];
  let bytes = 0;
  let bytesMax = FIRST_BATCH_BYTES;
  let applying: Promise<void> = Promise.resolve();
  try {
    for await (const block of log.replayBlocks(hot.appliedSeq)) {
      batch.push(block);
      bytes += block.bytes.length;
      if (bytes < bytesMax) continue;
      await applying;
      applying = hot.applyBlocks(batch);
      // It is looked at before the next batch; until then its rejection is nobody's.
      applying.catch(() => undefined);
      batch = [];
      bytes = 0;
      bytesMax = Math.min(bytesMax * BATCH_GROWTH, catchUpBatchBytesMax);
    }
  } finally {
    await applying;
  }
  await hot.ready();
  if (batch.length > 0) await hot.applyBlocks(batch);
  log.release(hot.appliedSeq);
}
