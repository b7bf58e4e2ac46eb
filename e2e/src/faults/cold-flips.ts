import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { StatementError } from '@kalamdb/engine';
import type { SeededRandom } from '@kalamdb/testing';
import { type Flip, type FlipOutcome, type FlipReport, summary, tryFlips } from './byte-flips.ts';
import { ColdRows, preparedIds } from './cold-rows.ts';

/** Codes that name damage, and what a key that is there is refused with. */
const NAMED: ReadonlySet<string> = new Set(['DAMAGED_DATA', 'FORMAT_UNKNOWN']);
const REFUSED = 'DUPLICATE_KEY';

/** Opens a damaged directory, reads everything along each road and tries to insert every key again. */
export async function coldFlipOutcome(path: string, flips: readonly Flip[]): Promise<FlipOutcome> {
  let rows: ColdRows | undefined;
  try {
    rows = await ColdRows.open(path);
    // Keys first: they ask the bloom filters. What is damaged must be named each time, not only when it is first met.
    const outcomes = [await outcomeOf(insertAll(rows)), await outcomeOf(readAll(rows)), await outcomeOf(insertAll(rows))];
    return outcomes.find((outcome) => outcome.startsWith('wrong')) ?? outcomes.find((outcome) => outcome === 'named') ?? 'harmless';
  } catch (error) {
    return judged(error);
  } finally {
    await rows?.database.close();
  }

  async function outcomeOf(work: Promise<void>): Promise<FlipOutcome> {
    try {
      await work;
      return 'harmless';
    } catch (error) {
      const outcome = judged(error);
      const [flip] = flips;
      const isSegment = flip?.file.startsWith('storage') === true;
      if (outcome === 'named' && isSegment && !String(error).includes(basename(flip.file)))
        return `wrong: ${error} does not name ${flip.file}`;
      return outcome;
    }
  }
}

function judged(error: unknown): FlipOutcome {
  const code = codeOf(error);
  return code !== undefined && NAMED.has(code) ? 'named' : `wrong: ${error instanceof Error ? error.message : error}`;
}

function codeOf(error: unknown): string | undefined {
  const cause = error instanceof StatementError ? error.failure.error : error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
}

async function readAll(rows: ColdRows): Promise<void> {
  const ids = await rows.ids();
  if (ids.join() !== preparedIds.join()) throw new Error(`there are ${ids} instead of ${preparedIds}`);
}

async function insertAll(rows: ColdRows): Promise<void> {
  let damage: unknown;
  for (const id of preparedIds) {
    const refusal = await rows.insert(id).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (refusal === undefined) throw new Error(`key ${id} was inserted again`);
    if (codeOf(refusal.error) !== REFUSED) damage ??= refusal.error;
  }
  if (damage !== undefined) throw damage;
}

/** The files of the cold tier: segments, bloom filters, and the manifest's copy. */
function coldFiles(path: string): readonly { readonly file: string; readonly bytes: number }[] {
  const found = readdirSync(join(path, 'storage'), { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => {
    if (!entry.isFile()) return [];
    const full = join(entry.parentPath, entry.name);
    return [{ file: full.slice(path.length + 1), bytes: statSync(full).size }];
  });
}

/**
 * Flips one bit of every `stride`-th byte of the segments and bloom filters of a small database, each alone, and all of its manifest's copy
 * together: nothing reads that. Each copy is opened in a child process.
 */
export async function flipColdBytes({ stride, random }: { readonly stride: number; readonly random: SeededRandom }): Promise<FlipReport> {
  const folder = mkdtempSync(join(tmpdir(), 'kalamdb-flips-'));
  try {
    const directory = join(folder, 'data');
    const rows = await ColdRows.open(directory);
    await rows.prepare();
    await rows.database.close();
    const files = coldFiles(directory).map(({ file, bytes }) =>
      Array.from({ length: bytes }, (_, at): Flip => ({ file, at, bit: random.integer(8) })),
    );
    const isCopy = (flips: readonly Flip[]): boolean => flips[0]?.file.endsWith('.json') === true;
    const every = files.filter((flips) => !isCopy(flips)).flat();
    const start = random.integer(stride);
    const alone = every.filter((_, index) => index % stride === start).map((flip) => [flip]);
    const groups = [...alone, ...files.filter(isCopy)];
    return summary(groups, await tryFlips(directory, groups, { goOn: true, judge: 'cold' }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
