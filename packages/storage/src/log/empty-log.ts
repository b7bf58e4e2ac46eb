import { Buffer } from 'node:buffer';
import type { Random } from '@kalamdb/protocol';
import type { FileSystem } from '../files/file-system.ts';
import { LogDirectory } from './log-directory.ts';
import { logHeaderBytes, logSaltBytes } from './log-format.ts';

/** What an empty log is made of. */
export interface EmptyLog {
  /** Its folder; made if it is not there. */
  readonly directory: string;
  readonly incarnation: string;
  /** The point at which it begins: the hot tier's. */
  readonly startSeq: bigint;
  readonly files: FileSystem;
  readonly random: Random;
}

/**
 * Makes the log of a hot tier that was not written through one: it holds nothing and begins at the hot tier's point, without which that would be taken
 * for a hot tier whose log is lost. Its file has no room for records; opening it begins another one.
 */
export async function makeEmptyLog({ directory, incarnation, startSeq, files, random }: EmptyLog): Promise<void> {
  const { directory: folder } = await LogDirectory.open(files, directory, logHeaderBytes);
  const salt = Buffer.from(random.bytes(logSaltBytes)).toString('hex');
  const prepared = await folder.prepare({ incarnation, number: 1, base: { seq: startSeq, crc: 0 }, salt }, Buffer.alloc(0), logHeaderBytes);
  await prepared.handles.plain.close();
  await prepared.handles.synced.close();
  await folder.publish(prepared);
}
