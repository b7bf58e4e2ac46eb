import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { LogEntry } from '../contract.ts';
import type { FileSystem, OpenFile } from '../files/file-system.ts';
import { writeFully } from '../files/whole-file.ts';
import { type ChainPoint, decodeHeader, headerSeed, type LogHeader, logHeaderBytes, recordHeadBytes, runTagBytes } from './log-format.ts';
import { holdsRunHead, RecordScanner } from './record-scanner.ts';

/** Bytes read at a time, unless one record is longer. */
const sliceBytes = 4 * 1024 * 1024;

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

/** What a reader does with the slice at `position` of a file: walk to the scanner's end, or answer `true` to stop before. */
type SliceVisitor = (scanner: RecordScanner, position: number) => boolean;

const readSlice = async (file: OpenFile, position: number, bytes: number): Promise<Buffer> => {
  const slice = Buffer.allocUnsafeSlow(bytes);
  let filled = 0;
  while (filled < bytes) {
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
    const header = decodeHeader(await readSlice(file, 0, logHeaderBytes), path, number);
    return { path, header, bytes: (await files.stat(path))?.bytes ?? 0 };
  } finally {
    await file.close();
  }
}

/**
 * Reads the records of a file that are on its chain, slice by slice; each step of the iteration follows one slice. Answers where in
 * the file the chain ends, unless it was stopped.
 */
async function* readSlices(files: FileSystem, found: FoundFile, visit: SliceVisitor): AsyncGenerator<undefined, number> {
  const file = await files.open(found.path, 'read');
  try {
    let last: ChainPoint = { seq: found.header.base.seq, crc: headerSeed(found.header) };
    let wanted = sliceBytes;
    let position = logHeaderBytes;
    while (position < found.bytes) {
      const asked = Math.min(wanted, found.bytes - position);
      const scanner = new RecordScanner(await readSlice(file, position, asked), last);
      const stopped = visit(scanner, position);
      yield;
      if (stopped) return position;
      last = scanner.point;
      position += scanner.walked;
      const goesOn = scanner.needed > 0 && position + scanner.needed <= found.bytes && scanner.sourceBytes === asked;
      if (!goesOn) break;
      wanted = Math.max(sliceBytes, scanner.needed);
    }
    return position;
  } finally {
    await file.close();
  }
}

/**
 * Follows a file's chain to its end, or to `end` if the next file's header names one, and answers where it stopped. Throws
 * DAMAGED_DATA when the chain breaks before `end`: every record before it was on the disk before the next file was begun. Without
 * `end` it throws it when a run begins behind the place where the chain breaks: what is missing there was on the disk too.
 */
export async function followChain(files: FileSystem, found: FoundFile, end: ChainPoint | undefined): Promise<ChainEnd> {
  let point = found.header.base;
  let unsyncedFrom = logHeaderBytes;
  if (end !== undefined && point.seq === end.seq && point.crc === end.crc) return { point, unsyncedFrom, position: unsyncedFrom };
  let reached = false;
  let passed = false;
  const follow: SliceVisitor = (scanner, position) => {
    while (!reached && !passed && scanner.next()) {
      reached = end !== undefined && scanner.seq === end.seq && scanner.crc === end.crc;
      passed = end !== undefined && scanner.seq > end.seq;
    }
    if (scanner.walked > 0) point = scanner.point;
    if (scanner.runStart !== undefined) unsyncedFrom = position + scanner.runStart;
    return reached || passed;
  };
  const slices = readSlices(files, found, follow);
  let step = await slices.next();
  while (step.done !== true) step = await slices.next();
  const chainEnd: ChainEnd = { point, unsyncedFrom, position: step.value };
  if (reached) return chainEnd;
  if (end !== undefined) {
    throw kalamError('DAMAGED_DATA', { where: found.path, reason: `its chain breaks after commit ${point.seq}, before commit ${end.seq}` });
  }
  await checkTornEnd(files, found, chainEnd);
  return chainEnd;
}

/** The records of a file with names above `afterSeq` and not above `lastSeq`, a slice's worth at a time. Payloads are views of the slice. */
export async function* readRecords(
  files: FileSystem,
  found: FoundFile,
  range: { readonly afterSeq: bigint; readonly lastSeq: bigint },
): AsyncGenerator<readonly LogEntry[]> {
  let entries: LogEntry[] = [];
  let reached = found.header.base.seq;
  const collect: SliceVisitor = (scanner) => {
    entries = [];
    while (reached < range.lastSeq && scanner.next()) {
      reached = scanner.seq;
      if (reached > range.afterSeq) entries.push(scanner.entry());
    }
    return reached >= range.lastSeq;
  };
  for await (const _ of readSlices(files, found, collect)) if (entries.length > 0) yield entries;
  if (reached < range.lastSeq) throw kalamError('DAMAGED_DATA', { where: found.path, reason: `its chain breaks after commit ${reached}` });
}

/** Tells a power cut, which leaves no run behind the end, from damage. */
async function checkTornEnd(files: FileSystem, found: FoundFile, end: ChainEnd): Promise<void> {
  const { point, position } = end;
  const tag = headerSeed(found.header);
  const file = await files.open(found.path, 'read');
  try {
    // What lies at the end itself may be the head of a run that was cut off; from its next byte on it may not.
    for (let at = position + 1; at < found.bytes; at += sliceBytes) {
      const slice = await readSlice(file, at, Math.min(sliceBytes + recordHeadBytes + runTagBytes, found.bytes - at));
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
export async function writeAgain(files: FileSystem, found: FoundFile, { unsyncedFrom, position }: ChainEnd): Promise<void> {
  const file = await files.open(found.path, 'write');
  try {
    for (let at = unsyncedFrom; at < position; at += sliceBytes) {
      await writeFully(file, await readSlice(file, at, Math.min(sliceBytes, position - at)), at);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
