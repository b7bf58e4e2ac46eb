import { type KalamError, kalamError } from '@kalamdb/protocol';
import type { FileSystem } from '../files/file-system.ts';
import type { LogDirectory } from './log-directory.ts';
import type { LogFollower } from './log-follower.ts';
import type { ChainPoint } from './log-format.ts';
import { type ChainEnd, type FoundFile, findFile, followChain, reusedMemory, writeAgain } from './log-reader.ts';

/** What was found in a log's folder. */
export interface FoundLog {
  readonly incarnation: string;
  /** Files from the one that holds the hot tier's point on, in order, each with the end of its chain. */
  readonly files: readonly { readonly found: FoundFile; readonly end: ChainEnd }[];
  /** The last commit of the log, or its base when it has none. */
  readonly end: ChainPoint;
  /** Numbers of files that hold nothing above the hot tier's point, in order. */
  readonly spent: readonly number[];
}

/** What the hot tier says about the log that belongs to it. */
export interface ExpectedLog {
  readonly startSeq: bigint;
  readonly incarnation: string | undefined;
}

/** How a log is followed. */
interface FollowOptions extends ExpectedLog {
  readonly follower?: LogFollower | undefined;
}

const refused = (where: string, reason: string): KalamError => kalamError('DAMAGED_DATA', { where, reason });

/** Files are recycled oldest first, but a power cut may keep a later recycling and lose an earlier one: what lies before a gap is spent. */
const newestRun = (numbers: readonly number[]): readonly number[] => {
  let first = numbers.length - 1;
  while (first > 0 && numbers[first - 1] === (numbers[first] ?? 0) - 1) first -= 1;
  return numbers.slice(Math.max(first, 0));
};

const checkFiles = (files: readonly FoundFile[], expected: ExpectedLog): string => {
  const [first] = files;
  if (first === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a log without files' });
  const incarnation = expected.incarnation ?? first.header.incarnation;
  for (const { path, header } of files) {
    if (header.incarnation !== incarnation) throw refused(path, `it belongs to database ${header.incarnation}, not to ${incarnation}`);
  }
  if (first.header.base.seq > expected.startSeq) {
    throw refused(first.path, `the log starts after commit ${first.header.base.seq}, the hot tier ends at ${expected.startSeq}`);
  }
  return incarnation;
};

/** A log's files with the ends of their chains, as they were found. */
interface FollowedLog {
  readonly incarnation: string;
  /** Never empty. */
  readonly files: readonly { readonly found: FoundFile; readonly end: ChainEnd }[];
  readonly last: { readonly found: FoundFile; readonly end: ChainEnd };
}

/** Where a log's files are. */
interface LogSource {
  readonly directory: LogDirectory;
  readonly numbers: readonly number[];
}

/**
 * Follows the chain of the log in a folder from the file that holds the hot tier's point to the last record and changes nothing.
 * Answers `undefined` when there is no log. Throws as {@link recoverLog} does.
 */
export async function followLog(
  files: FileSystem,
  { directory, numbers }: LogSource,
  expected: FollowOptions & { readonly memory: ReturnType<typeof reusedMemory> },
): Promise<FollowedLog | undefined> {
  const all: FoundFile[] = [];
  for (const number of newestRun(numbers)) all.push(await findFile(files, directory.pathOf(number), number));
  if (all.length === 0) {
    if (expected.startSeq === 0n) return undefined;
    throw refused(directory.path, `the log is missing, the hot tier ends at commit ${expected.startSeq}`);
  }
  const incarnation = checkFiles(all, expected);
  const start = all.findLastIndex((file) => file.header.base.seq <= expected.startSeq);
  const needed = all.slice(start);
  const followed: { found: FoundFile; end: ChainEnd }[] = [];
  for (const [index, found] of needed.entries()) {
    const next = needed[index + 1];
    followed.push({ found, end: await followChain(files, found, { ...expected, end: next?.header.base }) });
    // The next file was begun when everything before it was on the disk.
    if (next !== undefined) await expected.follower?.confirmed();
  }
  const last = followed.at(-1);
  if (last === undefined) throw kalamError('INTERNAL_ERROR', { reason: 'a log without a last file' });
  if (last.end.point.seq < expected.startSeq) {
    throw refused(last.found.path, `the log ends at commit ${last.end.point.seq}, the hot tier at ${expected.startSeq}`);
  }
  return { incarnation, files: followed, last };
}

/**
 * Reads the log that is in a folder: follows the chain from the file that holds the hot tier's point to the last record, and brings what
 * may not have been on the disk there. Answers `undefined` when there is none. Throws DAMAGED_DATA naming the file when a header is
 * damaged, the chain breaks inside the log, the log belongs to another database, starts after the hot tier's point, or ends before it.
 */
export async function recoverLog(files: FileSystem, source: LogSource, expected: FollowOptions): Promise<FoundLog | undefined> {
  const memory = reusedMemory();
  const followed = await followLog(files, source, { ...expected, memory });
  if (followed === undefined) return undefined;
  const { found, end } = followed.last;
  // Before the next file's header says that it is good.
  await writeAgain(files, found, { ...end, memory });
  await files.syncDirectory(source.directory.path);
  const needed = new Set(followed.files.map((file) => file.found.header.number));
  const spent = source.numbers.filter((number) => !needed.has(number));
  return { incarnation: followed.incarnation, files: followed.files, end: end.point, spent };
}
