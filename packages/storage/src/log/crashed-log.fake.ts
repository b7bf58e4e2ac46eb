import { Buffer } from 'node:buffer';
import { systemRandom, type Timers } from '@kalamdb/protocol';
import type { CommitLog, LogEntry } from '../contract.ts';
import type { FileSystem } from '../files/file-system.ts';
import { ManualTimers } from '../files/manual-timers.fake.ts';
import { type FileLogOptions, openFileLog } from './file-log.ts';

/** Small files, so that logs roll and recycle all the time. */
export const testFileBytes: number = 8_192;
export const testDirectory: string = '/data/log';

/** Opens a log over test files. */
export function openTestLog(files: FileSystem, startSeq = 0n, options: { timers?: Timers; incarnation?: string } = {}): Promise<CommitLog> {
  const all: FileLogOptions = {
    directory: testDirectory,
    files,
    timers: options.timers ?? new ManualTimers(),
    random: systemRandom,
    startSeq,
    incarnation: options.incarnation,
    fileBytes: testFileBytes,
  };
  return openFileLog(all);
}

/** An entry whose payload tells which attempt at this name it was. */
export function attempt(seq: bigint, tag: string, bytes = 40): LogEntry {
  return { seq, payload: Buffer.from(`${seq}/${tag}`.padEnd(bytes, '.')) };
}

/** An entry as a text that is quick to compare. */
export function entryText({ seq, payload }: LogEntry): string {
  return `${seq} ${Buffer.from(payload).toString('latin1')}`;
}

/** Everything that a log has above `afterSeq`. */
export async function entriesOf(log: CommitLog, afterSeq: bigint): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of log.replay(afterSeq)) found.push(entryText(entry));
  return found;
}

/** Opens a log over these files only to see what it has. */
export async function recovered(files: FileSystem, startSeq = 0n): Promise<string[]> {
  const log = await openTestLog(files, startSeq);
  const found = await entriesOf(log, startSeq);
  await log.close();
  return found;
}
