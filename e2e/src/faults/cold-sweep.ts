import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { coldOperation, hasTakenOver } from './cold-operations.ts';
import { ColdRows, preparedIds } from './cold-rows.ts';
import { type CallFault, type FaultedRun, FaultFolder } from './failing-calls.ts';

/** Calls in a row that fail. */
const FAULTS_IN_A_ROW = 2;
/** Of what a child said before it ended too early. */
const OUTPUT_CHARS_MAX = 4_000;
const KINDS: readonly CallFault[] = ['KILL', 'ENOSPC', 'EIO', 'SHORT'];

/** What a sweep saw. */
export interface ColdSweepReport {
  readonly operation: string;
  readonly runs: number;
  /** Calls that failed or were the last. */
  readonly faults: number;
  /** What the child said of failures, each once. */
  readonly errors: readonly string[];
  /** Runs after which a row that was acknowledged was missing or there twice, a file was left over, or something was neither done nor undone. */
  readonly wrong: readonly string[];
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
  /** Told of each run when it is over. */
  readonly onRun?: ((text: string) => void) | undefined;
}

/**
 * Makes every `stride`-th system call that changes the data directory or a backup fail, or be the last, while an operation is done: those of the
 * engine, of LMDB and of DuckDB.
 */
export async function sweepCold(options: ColdSweepOptions): Promise<ColdSweepReport> {
  const { cc, operation, stride, first = 0, runsMax = Number.POSITIVE_INFINITY, onRun } = options;
  const folder = new FaultFolder(cc);
  const total = { operation, runs: 0, faults: 0, errors: new Set<string>(), wrong: [] as string[] };
  const kinds = new Set(options.kinds ?? KINDS);
  try {
    const template = join(folder.path, 'template');
    await makeTemplate(template, operation);
    for (let at = first; kinds.size > 0; at += stride) {
      for (const kind of kinds) {
        if (total.runs >= runsMax) return reportOf(total);
        const run = await coldRun(folder, { template, operation, kind, first: at });
        total.runs += 1;
        total.faults += run.faults;
        for (const error of run.errors) total.errors.add(error);
        const name = `${operation}, ${kind} at call ${at}`;
        if (run.wrong !== undefined) total.wrong.push(`${name}: ${run.wrong}`);
        onRun?.(`${name}: ${run.wrong ?? `${run.faults} faults, ${[...run.errors]}`}`);
        // The run came to its end before it came to this call.
        if (run.faults === 0) kinds.delete(kind);
      }
    }
    return reportOf(total);
  } finally {
    folder.dispose();
  }
}

function reportOf(total: Omit<ColdSweepReport, 'errors'> & { readonly errors: ReadonlySet<string> }): ColdSweepReport {
  return { ...total, errors: [...total.errors].sort() };
}

async function makeTemplate(template: string, operation: string): Promise<void> {
  const place = join(template, 'place');
  mkdirSync(place, { recursive: true });
  const rows = await ColdRows.open(join(template, 'data'));
  await rows.prepare();
  await coldOperation(operation).prepare(rows, place);
  await rows.database.close();
}

interface ColdRun {
  readonly template: string;
  readonly operation: string;
  readonly kind: CallFault;
  readonly first: number;
}

/** What a run came to, and what is wrong with what it has left. */
type ColdOutcome = Pick<FaultedRun, 'faults' | 'errors'> & { readonly wrong: string | undefined };

async function coldRun(folder: FaultFolder, { template, operation, kind, first }: ColdRun): Promise<ColdOutcome> {
  const directory = join(folder.path, 'run');
  cpSync(template, directory, { recursive: true });
  const count = kind === 'KILL' ? 1 : FAULTS_IN_A_ROW;
  const childArguments = [join(directory, 'data'), operation, join(directory, 'place')];
  try {
    const run = await folder.run('cold-child', childArguments, { first, count, kind, names: true, directory });
    return { faults: run.faults, errors: run.errors, wrong: await wrongWith(run, { directory, operation, kind }) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function wrongWith(
  run: FaultedRun,
  { directory, operation, kind }: Pick<ColdRun, 'operation' | 'kind'> & { readonly directory: string },
): Promise<string | undefined> {
  if (!run.done && (kind !== 'KILL' || run.faults === 0))
    return `the child did not come to its end: ${run.output.slice(0, OUTPUT_CHARS_MAX)}`;
  const untyped = [...run.errors].find((error) => error.includes('untyped'));
  if (untyped !== undefined) return `an error has no name: ${untyped}`;
  try {
    await checkLeft(directory, operation, run);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Opens what is left with a disk that works: all is there once, nothing else lies there, and the operation succeeds. */
async function checkLeft(directory: string, name: string, run: FaultedRun): Promise<void> {
  const [data, place] = [join(directory, 'data'), join(directory, 'place')];
  const operation = coldOperation(name);
  const isReplaced = hasTakenOver(data) || existsSync(join(data, 'restore.json'));
  const gone = isReplaced ? operation.idsBefore : [];
  const expected = [...preparedIds, ...operation.idsBefore.filter((id) => !gone.includes(id)), ...acknowledgedIn(run, isReplaced)];
  let rows = await ColdRows.open(data);
  const check = async (present: readonly number[], absent: readonly number[]): Promise<void> => {
    const ids = await rows.ids();
    const missing = present.filter((id) => !ids.includes(id));
    if (missing.length > 0) throw new Error(`rows ${missing} are missing among ${ids}`);
    if (absent.some((id) => ids.includes(id))) throw new Error(`rows that were replaced are among ${ids}`);
    await operation.check(rows, place);
    await rows.checkNoOrphans(data);
  };
  try {
    await check(expected, gone);
    await operation.run(rows, place);
    if (operation.replaces) {
      await rows.database.close();
      rows = await ColdRows.open(data);
    }
    await rows.flush();
    await check(operation.replaces ? preparedIds : expected, operation.replaces ? operation.idsBefore : []);
  } finally {
    await rows.database.close();
  }
}

/** What has to be there: a restore that has taken over leaves nothing of what was acknowledged before it. */
function acknowledgedIn({ acknowledged, output }: FaultedRun, isReplaced: boolean): readonly number[] {
  if (!isReplaced) return acknowledged;
  const [, ...after] = output.split(/^replaced$/m);
  return [...after.join('').matchAll(/^ack (\d+)$/gm)].map(([, id]) => Number(id));
}
