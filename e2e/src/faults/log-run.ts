import { Buffer } from 'node:buffer';
import { type CommitLog, type Durability, type FileSystem, type LogEntry, openFileLog } from '@kalamdb/storage';
import { type SeededRandom, VirtualTime } from '@kalamdb/testing';
import { type DiskFault, RecordedDisk } from './recorded-disk.ts';

/** Small files, so that logs roll and recycle all the time. */
const FILE_BYTES = 8_192;
const DIRECTORY = '/data/log';
const SYNC_IN_TIME_MILLIS = 200;

/** What is known of a log at a moment. */
export interface Expectation {
  /** Entries that must be there after a power cut. */
  readonly durable: readonly string[];
  /** Entries that may be there after those, in this order and without gaps: acknowledged `relaxed`, or on their way. */
  readonly possible: readonly string[];
  /** Entries that must never be seen again. */
  readonly failed: ReadonlySet<string>;
  /** The hot tier's point: what is not above it need not be there. */
  readonly released: bigint;
}

/** A log's run over a disk, with what is known at each mark. */
export interface LogRun {
  readonly disk: RecordedDisk;
  readonly expectations: readonly Expectation[];
  readonly counts: { readonly acknowledged: number; readonly failed: number; readonly unknown: number };
}

/** An entry as a text that is quick to compare. */
export function entryText({ seq, payload }: LogEntry): string {
  return `${seq} ${Buffer.from(payload).toString('latin1')}`;
}

/** Opens the log that lies on `files`. */
export function openLog(
  files: FileSystem,
  startSeq: bigint,
  random: SeededRandom,
  timers: VirtualTime = new VirtualTime(),
): Promise<CommitLog> {
  return openFileLog({ directory: DIRECTORY, files, timers, random, startSeq, fileBytes: FILE_BYTES });
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : String(error));

class Recorder {
  readonly expectations: Expectation[] = [];
  readonly counts = { acknowledged: 0, failed: 0, unknown: 0 };
  readonly #disk: RecordedDisk;
  #entries: LogEntry[] = [];
  readonly #failed = new Set<string>();
  released = 0n;

  constructor(disk: RecordedDisk) {
    this.#disk = disk;
  }

  /** From here on the disk is held to what the log says now; `inFlight` may be on its way. */
  note(log: CommitLog | undefined, inFlight: readonly LogEntry[] = []): void {
    const syncedSeq = log?.syncedSeq ?? this.#entries.at(-1)?.seq ?? 0n;
    const above = this.#entries.filter(({ seq }) => seq > this.released);
    const durable = above.filter(({ seq }) => seq <= syncedSeq).map(entryText);
    const possible = [...above.filter(({ seq }) => seq > syncedSeq), ...inFlight].map(entryText);
    this.expectations.push({ durable, possible, failed: new Set(this.#failed), released: this.released });
    this.#disk.mark(this.expectations.length - 1);
  }

  acknowledged(entries: readonly LogEntry[]): void {
    this.#entries.push(...entries);
    this.counts.acknowledged += 1;
  }

  failed(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.#failed.add(entryText(entry));
    this.counts.failed += 1;
  }

  /** After opening again what was found is what there is. */
  found(entries: readonly LogEntry[]): void {
    this.#entries = [...this.#entries.filter(({ seq }) => seq <= this.released), ...entries];
  }
}

/** Faults come in bursts: one call, or so many that nothing can be done about the first. */
const faultSource = (random: SeededRandom, oneIn: number): (() => DiskFault | undefined) => {
  let left = 0;
  return () => {
    if (left === 0 && random.integer(oneIn) === 0) left = random.pick([1, 1, 2, 3, 6]);
    if (left === 0) return undefined;
    left -= 1;
    return random.pick<DiskFault>(['refused', 'short', 'done but reported failed']);
  };
};

const groupAfter = (seq: bigint, step: number, random: SeededRandom): LogEntry[] =>
  Array.from({ length: random.pick([1, 1, 2, 4]) }, (_, at) => {
    const name = seq + BigInt(at) + 1n;
    return { seq: name, payload: Buffer.from(`${name}/${step}`.padEnd(random.pick([30, 200, 700, 1_500]), '.')) };
  });

/** Appends, syncs, releases and opens again, at random, with faults in between unless `faultsOneIn` is 0. */
export async function runLog(options: {
  readonly random: SeededRandom;
  readonly steps: number;
  readonly modes: readonly Durability[];
  readonly faultsOneIn: number;
}): Promise<LogRun> {
  const { random, steps, modes, faultsOneIn } = options;
  const disk = new RecordedDisk();
  const recorder = new Recorder(disk);
  const timers = new VirtualTime();
  let log = await openLog(disk, 0n, random, timers);
  recorder.note(log);
  const reopen = async (): Promise<void> => {
    disk.fault = undefined;
    await log.close().catch(() => undefined);
    log = await openLog(disk, recorder.released, random, timers);
    const found: LogEntry[] = [];
    for await (const { seq, payload } of log.replay(recorder.released)) found.push({ seq, payload: Buffer.from(payload) });
    recorder.found(found);
    recorder.note(log);
  };
  for (let step = 0; step < steps; step += 1) {
    if (faultsOneIn > 0) disk.fault ??= faultSource(random, faultsOneIn);
    const group = groupAfter(log.lastSeq, step, random);
    recorder.note(log, group);
    const error = await log.append(group, random.pick(modes)).then(
      () => undefined,
      (thrown: unknown) => codeOf(thrown),
    );
    if (error === undefined) recorder.acknowledged(group);
    else if (error === 'LOG_WRITE_FAILED') recorder.failed(group);
    else recorder.counts.unknown += 1;
    if (error === undefined || error === 'LOG_WRITE_FAILED') recorder.note(log);
    else await reopen();
    if (random.integer(4) === 0) timers.advance(SYNC_IN_TIME_MILLIS);
    if (random.integer(5) === 0 && log.syncedSeq > recorder.released + 3n) {
      recorder.released = log.syncedSeq - 3n;
      recorder.note(log);
      log.release(recorder.released);
    }
    if (random.integer(20) === 0) await reopen();
  }
  disk.fault = undefined;
  await log.close();
  recorder.note(log);
  return { disk, expectations: recorder.expectations, counts: recorder.counts };
}
