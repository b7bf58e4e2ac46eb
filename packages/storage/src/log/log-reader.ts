import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { RecordBlock } from '../contract.ts';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import { writeFully } from '../files/whole-file.ts';
import type { LogFollower } from './log-follower.ts';
import { type ChainPoint, decodeHeader, headerSeed, type LogHeader, logHeaderBytes, recordHeadBytes, runTagBytes } from './log-format.ts';
import { holdsRunHead, RecordScanner } from './record-scanner.ts';

/** Bytes read at a time, unless one record is longer. */
const sliceBytes = 1024 * 1024;

/** Where a file's chain ends. */
export interface ChainEnd {
  readonly point: ChainPoint;
  /** Bytes of the file from here to `position` may not have been on the disk when the log was left. */
  readonly unsyncedFrom: number;
  readonly position: number;
}

/** A log file that was found at opening. */
export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
  readonly header: LogHeader;
}

/** Gives memory for a slice. */
type SliceMemory = (bytes: number) => Buffer;

/** One piece of memory for slice after slice: whoever takes one is done with the one before. */
export function reusedMemory(): SliceMemory {
  let memory = Buffer.alloc(0);
  return (bytes) => {
    if (memory.length < bytes) memory = Buffer.allocUnsafeSlow(bytes);
    return memory.subarray(0, bytes);
  };
}

/** What a reader does with the slice at `position` of a file: walk to the scanner's end, or answer `true` to stop before. */
type SliceVisitor = (scanner: RecordScanner, position: number) => boolean;

const readSlice = async (file: OpenFile, position: number, slice: Buffer): Promise<Buffer> => {
  let filled = 0;
  while (filled < slice.length) {
    const count = await file.read(slice.subarray(filled), position + filled);
    if (count === 0) break;
    filled += count;
  }
  return slice.subarray(0, filled);
};

/** Reads a file's header; throws as {@link decodeHeader} does. */
export async function findFile(files: FileSystem, path: string, number: number): Promise<FoundFile> {
  const file = await files.open(path, 'read');
  try {
    const header = decodeHeader(await readSlice(file, 0, Buffer.alloc(logHeaderBytes)), path, number);
    return { path, header, bytes: (await files.stat(path))?.bytes ?? 0 };
  } finally {
    await file.close();
  }
}

/** How slices are read. */
interface SliceReading {
  readonly memory: SliceMemory;
  /** Where in the file to stop reading. */
  readonly end: number;
  readonly visit: SliceVisitor;
}

/**
 * Reads the records of a file that are on its chain, slice by slice; each step of the iteration follows one slice. Answers where in
 * the file the chain ends, unless it was stopped.
 */
async function* readSlices(files: FileSystem, found: FoundFile, { memory, end, visit }: SliceReading): AsyncGenerator<undefined, number> {
  const file = await files.open(found.path, 'read');
  try {
    let last: ChainPoint = { seq: found.header.base.seq, crc: headerSeed(found.header) };
    let wanted = sliceBytes;
    let position = logHeaderBytes;
    while (position < end) {
      const asked = Math.min(wanted, end - position);
      const scanner = new RecordScanner(await readSlice(file, position, memory(asked)), last);
      const stopped = visit(scanner, position);
      const isWhole = scanner.sourceBytes === asked;
      // From here on the memory of the slice may belong to another thread.
      yield;
      last = scanner.point;
      position += scanner.walked;
      if (stopped) return position;
      if (scanner.needed === 0 || position + scanner.needed > end || !isWhole) break;
      wanted = Math.max(sliceBytes, scanner.needed);
    }
    return position;
  } finally {
    await file.close();
  }
}

/** How a file's chain is followed. */
interface ChainFollowing {
  /** The next file's base. */
  readonly end: ChainPoint | undefined;
  readonly memory: SliceMemory;
  readonly startSeq: bigint;
  /** Gets the records above `startSeq`. */
  readonly follower?: LogFollower | undefined;
}

/**
 * Follows a file's chain to its end, or to `end` if the next file's header names one, and answers where it stopped. Throws
 * DAMAGED_DATA when the chain breaks before `end`: every record before it was on the disk before the next file was begun. Without
 * `end` it throws it when a run begins behind the place where the chain breaks: what is missing there was on the disk too.
 */
export async function followChain(
  files: FileSystem,
  found: FoundFile,
  { end, memory, startSeq, follower }: ChainFollowing,
): Promise<ChainEnd> {
  let point = found.header.base;
  let unsyncedFrom = logHeaderBytes;
  if (end !== undefined && point.seq === end.seq && point.crc === end.crc) return { point, unsyncedFrom, position: unsyncedFrom };
  let reached = false;
  let passed = false;
  const follow: SliceVisitor = (scanner, position) => {
    let start = 0;
    while (!reached && !passed && scanner.next()) {
      if (scanner.seq <= startSeq) start = scanner.walked;
      reached = end !== undefined && scanner.seq === end.seq && scanner.crc === end.crc;
      passed = end !== undefined && scanner.seq > end.seq;
    }
    if (scanner.walked > 0) point = scanner.point;
    if (scanner.walked > start) follower?.take({ bytes: new Uint8Array(scanner.walkedBytes(start)), lastSeq: scanner.seq });
    if (scanner.runStart !== undefined) unsyncedFrom = position + scanner.runStart;
    return reached || passed;
  };
  const slices = readSlices(files, found, { memory, end: found.bytes, visit: follow });
  let step = await slices.next();
  while (step.done !== true) step = await slices.next();
  const chainEnd: ChainEnd = { point, unsyncedFrom, position: step.value };
  if (reached) return chainEnd;
  if (end !== undefined) {
    throw kalamError('DAMAGED_DATA', { where: found.path, reason: `its chain breaks after commit ${point.seq}, before commit ${end.seq}` });
  }
  await checkTornEnd(files, found, { ...chainEnd, memory });
  return chainEnd;
}

/**
 * The records of a file with names above `afterSeq` up to the end of its chain, in blocks. Each block has memory of its own, which its
 * receiver may give away.
 */
export async function* readRecords(
  files: FileSystem,
  found: FoundFile,
  { afterSeq, end }: { readonly afterSeq: bigint; readonly end: ChainEnd },
): AsyncGenerator<RecordBlock> {
  const lastSeq = end.point.seq;
  let block: RecordBlock | undefined;
  let reached = found.header.base.seq;
  const collect: SliceVisitor = (scanner) => {
    let start = 0;
    while (reached < lastSeq && scanner.next()) {
      reached = scanner.seq;
      if (reached <= afterSeq) start = scanner.walked;
    }
    block = scanner.walked > start ? { bytes: scanner.walkedBytes(start), lastSeq: reached } : undefined;
    return reached >= lastSeq;
  };
  const memory: SliceMemory = (bytes) => Buffer.allocUnsafeSlow(bytes);
  for await (const _ of readSlices(files, found, { memory, end: end.position, visit: collect })) if (block !== undefined) yield block;
  if (reached < lastSeq) throw kalamError('DAMAGED_DATA', { where: found.path, reason: `its chain breaks after commit ${reached}` });
}

/** Tells a power cut, which leaves no run behind the end, from damage. */
async function checkTornEnd(
  files: FileSystem,
  found: FoundFile,
  { point, position, memory }: ChainEnd & { readonly memory: SliceMemory },
): Promise<void> {
  const tag = headerSeed(found.header);
  const file = await files.open(found.path, 'read');
  try {
    // What lies at the end itself may be the head of a run that was cut off; from its next byte on it may not.
    for (let at = position + 1; at < found.bytes; at += sliceBytes) {
      const slice = await readSlice(file, at, memory(Math.min(sliceBytes + recordHeadBytes + runTagBytes, found.bytes - at)));
      if (!holdsRunHead(slice, tag, point.seq)) continue;
      throw kalamError('DAMAGED_DATA', {
        where: found.path,
        reason: `its chain breaks after commit ${point.seq}, but what follows was written when everything before was on the disk`,
      });
    }
  } finally {
    await file.close();
  }
}

/**
 * Brings everything of the last file to the disk that may be in the system's memory only: its writer was killed before a sync, or had one
 * fail. After a failed sync the system may hold it for written, and only writing it again makes it write; the bytes stay the same.
 */
export async function writeAgain(
  files: FileSystem,
  found: FoundFile,
  { unsyncedFrom, position, memory }: ChainEnd & { readonly memory: SliceMemory },
): Promise<void> {
  const file = await files.open(found.path, 'write');
  try {
    for (let at = unsyncedFrom; at < position; at += sliceBytes) {
      await writeFully(file, await readSlice(file, at, memory(Math.min(sliceBytes, position - at))), at);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
