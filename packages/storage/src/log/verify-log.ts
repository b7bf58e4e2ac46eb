import { Buffer } from 'node:buffer';
import type { FileSystem } from '../files/file-system.ts';
import { CommitRows } from './commit-rows.ts';
import { LogDirectory } from './log-directory.ts';
import { readRecords, reusedMemory } from './log-reader.ts';
import { type ExpectedLog, followLog } from './log-recovery.ts';
import { RecordPlace } from './record-place.ts';

/** What a log holds that the hot tier does not. */
export interface VerifiedLog {
  readonly commits: number;
  readonly rows: number;
  /** Name of the last commit. */
  readonly lastSeq: bigint;
}

/** Told of commits that have a part of certain tables; the bytes are its own. */
export interface CommitVisitor {
  readonly tables: ReadonlySet<number>;
  visit(payload: Buffer): void;
}

/**
 * Reads the log in a folder behind the hot tier's point as opening would, changes nothing, and walks over every row. Throws
 * DAMAGED_DATA naming file or commit.
 */
export async function verifyLog(
  files: FileSystem,
  path: string,
  { visitor, ...expected }: ExpectedLog & { readonly visitor?: CommitVisitor | undefined },
): Promise<VerifiedLog> {
  const followed = await followLog(files, await LogDirectory.look(files, path), { ...expected, memory: reusedMemory() });
  const total = { commits: 0, rows: 0, lastSeq: expected.startSeq };
  const commit = new CommitRows(Buffer.alloc(0));
  for (const { found, end } of followed?.files ?? []) {
    if (end.point.seq <= expected.startSeq) continue;
    for await (const { bytes, lastSeq } of readRecords(files, found, { afterSeq: expected.startSeq, end })) {
      const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (const record = new RecordPlace(); record.next(block); total.commits += 1) {
        const { payloadStart, payloadEnd } = record;
        commit.open(block, payloadStart, payloadEnd - payloadStart);
        let isWanted = false;
        while (commit.nextPart()) {
          isWanted ||= visitor?.tables.has(commit.tableId) === true;
          while (commit.nextRow()) total.rows += 1;
        }
        if (isWanted) visitor?.visit(Buffer.from(block.subarray(payloadStart, payloadEnd)));
      }
      total.lastSeq = lastSeq;
    }
  }
  return total;
}
