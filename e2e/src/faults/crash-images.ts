import type { Buffer } from 'node:buffer';
import type { Durability } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { type Expectation, entryText, type LogRun, openLog, runLog } from './log-run.ts';
import { powerCuts } from './power-cut.ts';
import { RecordedDisk } from './recorded-disk.ts';

/** Of the images of one run, one of up to so many is opened: many runs show more than all of few. */
const KEPT_ONE_IN_MAX = 12;
/** Crashes in a row while one image is being recovered. */
const RECOVERY_CRASHES_MAX = 3;

/** How much is tried. */
export interface CrashImageOptions {
  readonly seed: number;
  /** Images to open; the last run is finished. */
  readonly images: number;
  /** Every so many images the recovery itself is cut. */
  readonly recoveryCutsOneIn: number;
}

/** What was tried; everything held, or there would have been an error. */
export interface CrashImageReport {
  readonly runs: number;
  readonly images: number;
  readonly recoveryCuts: number;
  /** Groups that were acknowledged, failed, and answered COMMIT_OUTCOME_UNKNOWN in the runs. */
  readonly acknowledged: number;
  readonly failed: number;
  readonly unknown: number;
  /** Images in which something that was on its way had arrived. */
  readonly beyondDurable: number;
}

const MODES: readonly (readonly Durability[])[] = [['sync'], ['relaxed'], ['sync', 'relaxed', 'relaxed']];

/** Opens the log on `disk` and answers what it holds. */
async function recoveredFrom(disk: RecordedDisk, released: bigint, random: SeededRandom): Promise<readonly string[]> {
  const log = await openLog(disk, released, random);
  const found: string[] = [];
  for await (const entry of log.replay(released)) found.push(entryText(entry));
  await log.close();
  return found;
}

/** Throws unless everything durable is there, in order, followed by a part of what was possible, and nothing that failed. */
function check(found: readonly string[], { durable, possible, failed }: Expectation): void {
  const all = [...durable, ...possible];
  if (found.length < durable.length) throw new Error(`${durable.length} entries were durable, ${found.length} are there`);
  const wrong = found.findIndex((text, index) => text !== all[index]);
  if (wrong !== -1) throw new Error(`entry ${wrong} is ${found[wrong]?.slice(0, 40)}, not ${all[wrong]?.slice(0, 40)}`);
  for (const text of found) if (failed.has(text)) throw new Error(`${text.slice(0, 40)} had failed`);
}

/** Cuts the power again and again while an image is recovered; what one finished recovery has shown, later ones must show. */
async function recoverThroughCuts(files: ReadonlyMap<string, Buffer>, expectation: Expectation, random: SeededRandom): Promise<number> {
  let current = files;
  let expected = expectation;
  for (let crash = 0; crash < RECOVERY_CRASHES_MAX; crash += 1) {
    const disk = new RecordedDisk(current);
    const found = await recoveredFrom(disk, expectation.released, random);
    check(found, expected);
    const cuts = [...powerCuts(disk, { random, samples: 1 })];
    const { files: left, cut } = random.pick(cuts);
    current = left;
    if (cut === disk.events.length) expected = { ...expected, durable: found, possible: [] };
  }
  check(await recoveredFrom(new RecordedDisk(current), expectation.released, random), expected);
  return RECOVERY_CRASHES_MAX;
}

/** The expectations in force at each event. */
function* expectationsOf(run: LogRun): Iterable<Expectation | undefined> {
  let current: Expectation | undefined;
  yield current;
  for (const event of run.disk.events) {
    if (event.kind === 'mark') current = run.expectations[event.mark];
    yield current;
  }
}

/** Images of one run: each state that a power cut may leave, and what a kill leaves at the end. Answers how many were tried. */
async function tryRun(
  run: LogRun,
  options: CrashImageOptions & { readonly random: SeededRandom },
): Promise<{ images: number; recoveryCuts: number; beyondDurable: number }> {
  const { random, images: imagesMax, recoveryCutsOneIn } = options;
  const counts = { images: 0, recoveryCuts: 0, beyondDurable: 0 };
  const keptOneIn = 1 + random.integer(KEPT_ONE_IN_MAX);
  const expectations = [...expectationsOf(run)];
  for (const { cut, files } of powerCuts(run.disk, { random, samples: 2 })) {
    const expectation = expectations[cut];
    if (expectation === undefined || random.integer(keptOneIn) !== 0) continue;
    if (counts.images >= imagesMax) break;
    counts.images += 1;
    const found = await recoveredFrom(new RecordedDisk(files), expectation.released, random);
    check(found, expectation);
    if (found.length > expectation.durable.length) counts.beyondDurable += 1;
    if (random.integer(recoveryCutsOneIn) === 0) counts.recoveryCuts += await recoverThroughCuts(files, expectation, random);
  }
  return counts;
}

/**
 * Runs logs in both durability modes, with and without faults, and opens what a power cut at any event of them may leave. Throws at
 * the first image that lacks what was acknowledged, shows what failed, or is refused; the message names seed, run and image.
 */
export async function exploreCrashImages(options: CrashImageOptions): Promise<CrashImageReport> {
  const total = { runs: 0, images: 0, recoveryCuts: 0, acknowledged: 0, failed: 0, unknown: 0, beyondDurable: 0 };
  for (let index = 0; total.images < options.images; index += 1) {
    const random = new SeededRandom(options.seed + index);
    const run = await runLog({
      random,
      steps: 12 + random.integer(30),
      modes: MODES[index % MODES.length] ?? ['sync'],
      faultsOneIn: random.pick([0, 15, 40]),
    });
    try {
      const counts = await tryRun(run, { ...options, images: Math.ceil(options.images / 6), random });
      total.images += counts.images;
      total.recoveryCuts += counts.recoveryCuts;
      total.beyondDurable += counts.beyondDurable;
    } catch (error) {
      throw new Error(
        `a crash image of run ${index} with seed ${options.seed} does not hold: ${error instanceof Error ? error.message : error}`,
        { cause: error },
      );
    }
    total.runs += 1;
    total.acknowledged += run.counts.acknowledged;
    total.failed += run.counts.failed;
    total.unknown += run.counts.unknown;
  }
  return total;
}
