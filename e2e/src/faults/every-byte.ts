import { Buffer } from 'node:buffer';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkStoreFile, type FileSystem, systemFiles } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { type Flip, type FlipReport, flipText, makeDirectory, tryFlips, UNAPPLIED_COMMITS, WRITTEN_COMMITS } from './byte-flips.ts';
import { openLog } from './log-run.ts';
import { RecordedDisk } from './recorded-disk.ts';
import { smallCommit } from './small-store.ts';

/** Flips that the check of the hot tier's file lets pass are tried so many at a time: opening a directory takes a thousand times as long. */
const TOGETHER = 4_096;

type Counts = { -readonly [name in keyof FlipReport]: FlipReport[name] extends number ? number : string[] };

/** A file system that holds one file in memory and can only be read. */
const oneFile = (content: Buffer): FileSystem => ({
  ...systemFiles,
  open: async () => ({
    read: async (target, position) => content.copy(target, 0, position),
    write: () => Promise.reject(new Error('only for reading')),
    sync: async () => undefined,
    close: async () => undefined,
  }),
  stat: async () => ({ bytes: content.length, isDirectory: false }),
});

const flip = (content: Buffer, at: number, bit: number): void => {
  content.writeUInt8(content.readUInt8(at) ^ (1 << bit), at);
};

const isNamed = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['DAMAGED_DATA', 'FORMAT_UNKNOWN'].includes(String(error.code));

/** Whether the hot tier's file is refused by name before LMDB sees it. */
async function isRefused(content: Buffer): Promise<boolean> {
  try {
    await checkStoreFile(oneFile(content), 'data.mdb', content.length);
    return false;
  } catch (error) {
    if (isNamed(error)) return true;
    throw error;
  }
}

/** One bit of every byte of the hot tier's file: the check first, and what passes it in a directory that is opened, written to and read. */
async function sweepStore(path: string, random: SeededRandom, counts: Counts): Promise<void> {
  const content = readFileSync(join(path, 'hot', 'data.mdb'));
  const passed: Flip[] = [];
  for (let at = 0; at < content.length; at += 1) {
    const bit = random.integer(8);
    flip(content, at, bit);
    if (await isRefused(content)) counts.named += 1;
    else passed.push({ file: join('hot', 'data.mdb'), at, bit });
    flip(content, at, bit);
  }
  // Far from each other, so that those of one page are not always tried with each other.
  const stride = Math.max(1, Math.ceil(passed.length / TOGETHER));
  const groups = Array.from({ length: stride }, (_, first) => passed.filter((_flip, index) => index % stride === first));
  await tryTogether(path, groups, counts);
}

/** Tries groups of flips, and halves of those that are not harmless, until each that is not stands alone. */
async function tryTogether(path: string, groups: readonly (readonly Flip[])[], counts: Counts): Promise<void> {
  const suspects: (readonly Flip[])[] = [];
  for (const [index, outcome] of (await tryFlips(path, groups, { goOn: true, judge: 'store' })).entries()) {
    const flips = groups[index] ?? [];
    const [only] = flips;
    const middle = flips.length >>> 1;
    if (outcome === 'harmless') counts.harmless += flips.length;
    else if (flips.length > 1) suspects.push(flips.slice(0, middle), flips.slice(middle));
    else if (outcome === 'named') counts.named += 1;
    else if (only !== undefined) counts.wrong.push(flipText(only, outcome));
  }
  if (suspects.length > 0) await tryTogether(path, suspects, counts);
}

/** One bit of every byte of the log's files. */
async function sweepLog(path: string, random: SeededRandom, counts: Counts): Promise<void> {
  const names = readdirSync(join(path, 'log'));
  const files = new Map(names.map((name) => [join('/data/log', name), readFileSync(join(path, 'log', name))]));
  const applied = WRITTEN_COMMITS - UNAPPLIED_COMMITS;
  const expected = Array.from({ length: UNAPPLIED_COMMITS }, (_, at) => Buffer.from(smallCommit(applied + at + 1).payload));
  for (const [name, content] of files) {
    for (let at = 0; name.endsWith('.log') && at < content.length; at += 1) {
      const bit = random.integer(8);
      flip(content, at, bit);
      const outcome = await readLog(new RecordedDisk(files), BigInt(applied) * 10n, { expected, random });
      flip(content, at, bit);
      if (outcome === 'wrong') counts.wrong.push(`bit ${bit} of byte ${at} of ${name}`);
      else counts[outcome] += 1;
    }
  }
}

async function readLog(
  disk: RecordedDisk,
  startSeq: bigint,
  { expected, random }: { readonly expected: readonly Buffer[]; readonly random: SeededRandom },
): Promise<'named' | 'harmless' | 'tornEnd' | 'wrong'> {
  try {
    const log = await openLog(disk, startSeq, random);
    let count = 0;
    for await (const { payload } of log.replay(startSeq)) {
      if (expected[count]?.equals(payload) !== true) return 'wrong';
      count += 1;
    }
    await log.close();
    if (count === expected.length) return 'harmless';
    return count === expected.length - 1 ? 'tornEnd' : 'wrong';
  } catch (error) {
    return isNamed(error) ? 'named' : 'wrong';
  }
}

/** A flip in every byte of a small data directory, each alone or, where nothing looked at it, together with others. */
export async function flipEveryByte(seed: number): Promise<FlipReport> {
  const random = new SeededRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-flips-'));
  const counts: Counts = { named: 0, harmless: 0, tornEnd: 0, wrong: [] };
  try {
    const directory = join(folder, 'data');
    await makeDirectory(directory);
    await sweepLog(directory, random, counts);
    await sweepStore(directory, random, counts);
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
