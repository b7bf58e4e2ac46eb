import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ColdRows, coldOperations, preparedIds } from './cold-rows.ts';
import { type CallFault, type FaultedRun, FaultFolder } from './failing-calls.ts';

/** Calls in a row that fail. */
const FAULTS_IN_A_ROW = 2;
const KINDS: readonly CallFault[] = ['KILL', 'ENOSPC', 'EIO', 'SHORT'];

/** What a sweep saw; everything held, or there would have been an error. */
export interface ColdSweepReport {
  readonly operation: string;
  readonly runs: number;
  /** Calls that failed or were the last. */
  readonly faults: number;
  /** What the child said of failures, each once. */
  readonly errors: readonly string[];
}

/** How much is tried. */
export interface ColdSweepOptions {
  readonly cc: string;
  readonly operation: string;
  /** Of the calls of a run one of so many is made to fail, from `first` on. */
  readonly stride: number;
  readonly first?: number | undefined;
  readonly runsMax?: number | undefined;
  readonly kinds?: readonly CallFault[] | undefined;
}

/**
 * Makes every `stride`-th system call that changes the data directory fail, or be the last, while segments are written: those of the engine, of
 * LMDB and of DuckDB. Throws at the first run after which a row that was acknowledged is missing or there twice, or a file is left over.
 */
export async function sweepCold({ cc, operation, stride, first = 0, runsMax, kinds = KINDS }: ColdSweepOptions): Promise<ColdSweepReport> {
  const folder = new FaultFolder(cc);
  const total = { operation, runs: 0, faults: 0, errors: new Set<string>() };
  try {
    const template = join(folder.path, 'template');
    const rows = await ColdRows.open(template);
    await rows.prepare();
    await rows.database.close();
    for (const kind of kinds) {
      for (let at = first; total.runs < (runsMax ?? Number.POSITIVE_INFINITY); at += stride) {
        const run = await coldRun(folder, { template, operation, kind, first: at });
        total.runs += 1;
        total.faults += run.faults;
        for (const error of run.errors) total.errors.add(error);
        // The run came to its end before it came to this call.
        if (run.faults === 0) break;
      }
    }
    return { ...total, errors: [...total.errors].sort() };
  } finally {
    folder.dispose();
  }
}

async function coldRun(
  folder: FaultFolder,
  {
    template,
    operation,
    kind,
    first,
  }: { readonly template: string; readonly operation: string; readonly kind: CallFault; readonly first: number },
): Promise<FaultedRun> {
  const [directory, outside] = [join(folder.path, 'data'), join(folder.path, 'outside')];
  cpSync(template, directory, { recursive: true });
  mkdirSync(outside);
  try {
    const count = kind === 'KILL' ? 1 : FAULTS_IN_A_ROW;
    const run = await folder.run('cold-child', [directory, operation, outside], { first, count, kind, names: true, directory });
    if (!run.done && (kind !== 'KILL' || run.faults === 0))
      throw new Error(`the child did not come to its end: ${run.output.slice(-2_000)}`);
    const untyped = [...run.errors].find((error) => error.includes('untyped'));
    if (untyped !== undefined) throw new Error(`an error has no name: ${untyped}`);
    await checkLeft(directory, { operation, outside: join(folder.path, 'again') }, run);
    return run;
  } catch (error) {
    throw new Error(`${operation}, ${kind} at call ${first}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    for (const path of [directory, outside, join(folder.path, 'again')]) rmSync(path, { recursive: true, force: true });
  }
}

/** Opens what is left with a disk that works: all is there once, nothing else lies there, and the operation succeeds. */
async function checkLeft(
  directory: string,
  { operation, outside }: { readonly operation: string; readonly outside: string },
  { acknowledged }: FaultedRun,
): Promise<void> {
  const rows = await ColdRows.open(directory);
  try {
    const check = async (): Promise<void> => {
      const ids = await rows.ids();
      const missing = [...preparedIds, ...acknowledged].filter((id) => !ids.includes(id));
      if (missing.length > 0) throw new Error(`rows ${missing} are missing among ${ids}`);
      await rows.checkNoOrphans(directory);
    };
    await check();
    await coldOperations[operation]?.(rows, outside);
    await rows.flush();
    await check();
  } finally {
    await rows.database.close();
  }
}
