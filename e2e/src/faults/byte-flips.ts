import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SeededRandom } from '@kalamdb/testing';
import { expectedRows, openStore, smallCommit, storedRows } from './small-store.ts';

/** Commits in the directory of {@link makeDirectory}. */
export const WRITTEN_COMMITS = 130;
/** Those at the end that are in the log only. */
export const UNAPPLIED_COMMITS = 12;
/** Commits that are added to a copy in which nothing was found, to see whether damage comes out later. */
const MORE_COMMITS = 8;
const NAMED: ReadonlySet<string> = new Set(['DAMAGED_DATA', 'FORMAT_UNKNOWN']);

const childModule = fileURLToPath(new URL('../../dist/faults/flip-child.js', import.meta.url));

/** One bit that is wrong. */
export interface Flip {
  readonly file: string;
  readonly at: number;
  readonly bit: number;
}

/** What came of a flip: refused by name, nothing, the loss of the youngest group of the log, or something that must not be. */
export type FlipOutcome = 'named' | 'harmless' | 'torn end' | `wrong: ${string}`;

/** What came of all flips. */
export interface FlipReport {
  readonly named: number;
  readonly harmless: number;
  readonly tornEnd: number;
  /** Those that must not be. */
  readonly wrong: readonly string[];
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Opens a damaged directory and reads everything; with `goOn` it also adds commits, and opens and reads it once more. */
export async function flipOutcome(path: string, commits: number, goOn: boolean): Promise<FlipOutcome> {
  try {
    const lost = await readAll(path, commits, goOn);
    return lost === 0 ? 'harmless' : 'torn end';
  } catch (error) {
    if (error instanceof Error && 'code' in error && NAMED.has(String(error.code))) return 'named';
    return `wrong: ${messageOf(error)}`;
  }
}

/** Answers how many commits are missing at the end; throws when the rows are not those of all others. */
async function readAll(path: string, commits: number, goOn: boolean): Promise<number> {
  const store = await openStore(path);
  let found: number;
  try {
    found = Number(store.log.lastSeq / 10n);
    if (found < commits - 1 || found > commits) throw new Error(`it ends at commit ${found} of ${commits}`);
    if (storedRows(store.hot).join() !== expectedRows(found).join()) throw new Error('the rows are not those that were written');
    for (let n = found + 1; goOn && n <= found + MORE_COMMITS; n += 1) await store.commit([smallCommit(n)]);
    if (goOn && storedRows(store.hot).join() !== expectedRows(found + MORE_COMMITS).join())
      throw new Error('the rows are wrong after more commits');
  } finally {
    await store.close();
  }
  if (!goOn) return commits - found;
  const again = await openStore(path);
  try {
    if (storedRows(again.hot).join() !== expectedRows(found + MORE_COMMITS).join())
      throw new Error('the rows are wrong when it is opened again');
  } finally {
    await again.close();
  }
  return commits - found;
}

/** Makes a small data directory: {@link WRITTEN_COMMITS} commits of `smallCommit`, the last {@link UNAPPLIED_COMMITS} in the log only. */
export async function makeDirectory(path: string): Promise<void> {
  const store = await openStore(path);
  for (let n = 1; n <= WRITTEN_COMMITS - UNAPPLIED_COMMITS; n += 1) await store.commit([smallCommit(n)]);
  for (let n = WRITTEN_COMMITS - UNAPPLIED_COMMITS + 1; n <= WRITTEN_COMMITS; n += 1) await store.commit([smallCommit(n)], false);
  await store.close();
}

/** The files of a directory whose bytes matter, with their sizes. LMDB makes its lock file anew at every first opening. */
function filesOf(path: string): readonly { readonly file: string; readonly bytes: number }[] {
  const logs = readdirSync(join(path, 'log')).filter((name) => name.endsWith('.log'));
  const files = ['format.json', join('hot', 'data.mdb'), ...logs.map((name) => join('log', name))];
  return files.map((file) => ({ file, bytes: statSync(join(path, file)).size }));
}

/** `count` flips by chance, half of them in the hot tier. */
function chooseFlips(path: string, count: number, random: SeededRandom): readonly Flip[] {
  const files = filesOf(path);
  const hot = files.filter(({ file }) => file.startsWith('hot'));
  return Array.from({ length: count }, (_, index) => {
    const { file, bytes } = random.pick(index % 2 === 0 ? hot : files);
    // Heads of pages and begins of files hold what everything else hangs on.
    const at =
      random.integer(3) === 0
        ? Math.min(random.integer(Math.ceil(bytes / 4_096)) * 4_096 + random.integer(100), bytes - 1)
        : random.integer(bytes);
    return { file, at, bit: random.integer(8) };
  });
}

/** Reads a child's outcomes into `outcomes`; answers the flip during which it ended, if it did not come to the end. */
async function collect(child: ChildProcess, outcomes: Map<number, string>): Promise<number | undefined> {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(child, 'close');
  for (const [, index, outcome = ''] of text.matchAll(/^is (\d+) (.*)$/gm)) outcomes.set(Number(index), outcome);
  const last = Number([...text.matchAll(/^try (\d+)$/gm)].at(-1)?.[1] ?? -1);
  return outcomes.has(last) ? undefined : last;
}

/** How damaged copies are judged: as log and hot tier of `smallCommit`, with more commits or without, or as the rows of a `ColdRows`. */
export interface Judging {
  readonly goOn: boolean;
  readonly judge: 'store' | 'cold';
}

/** Opens a copy of `directory` with each group of flips, one after another, in child processes: some damage could end a process. */
export async function tryFlips(directory: string, groups: readonly (readonly Flip[])[], judging: Judging): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-flipped-'));
  try {
    const list = join(folder, 'flips.json');
    writeFileSync(list, JSON.stringify({ groups, commits: WRITTEN_COMMITS, ...judging }));
    const outcomes = new Map<number, string>();
    for (let first = 0; first < groups.length; ) {
      const child = spawn(process.execPath, [childModule, directory, folder, list, String(first)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = await collect(child, outcomes);
      if (ended !== undefined) outcomes.set(ended, `wrong: the process ended (${child.signalCode ?? child.exitCode})`);
      first = ended === undefined ? groups.length : ended + 1;
    }
    return groups.map((_, index) => outcomes.get(index) ?? 'wrong: not tried');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Flips bits of a small data directory, one at a time, and opens each copy in a child process. */
export async function flipBytes(options: {
  readonly count: number;
  readonly goOn: boolean;
  readonly random: SeededRandom;
}): Promise<FlipReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-flips-'));
  try {
    const directory = join(folder, 'data');
    await makeDirectory(directory);
    const flips = chooseFlips(directory, options.count, options.random);
    const groups = flips.map((flip) => [flip]);
    return summary(groups, await tryFlips(directory, groups, { goOn: options.goOn, judge: 'store' }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What came of groups of flips. */
export function summary(groups: readonly (readonly Flip[])[], outcomes: readonly string[]): FlipReport {
  const count = (outcome: FlipOutcome): number => outcomes.filter((other) => other === outcome).length;
  const wrong = groups.flatMap(([flip], index) => {
    const outcome = outcomes[index] ?? '';
    return flip !== undefined && outcome.startsWith('wrong') ? [flipText(flip, outcome)] : [];
  });
  return { named: count('named'), harmless: count('harmless'), tornEnd: count('torn end'), wrong };
}

/** A flip and what came of it, for a report. */
export function flipText({ file, at, bit }: Flip, outcome: string): string {
  return `bit ${bit} of byte ${at} of ${file}: ${outcome}`;
}
