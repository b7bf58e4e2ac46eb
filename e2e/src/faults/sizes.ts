import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom, systemTimers } from '@kalamdb/protocol';
import {
  catchUp,
  encodeCommit,
  type FileCommitLog,
  type LmdbStore,
  type LogEntry,
  openFileLog,
  openLmdbStore,
  type RowKey,
  systemFiles,
} from '@kalamdb/storage';

const GROUP = 2_000;
const ROWS_PER_COMMIT = 100;
const BATCH_COMMITS = 1_000;
const LOOK_UPS = 20_000;
const TABLE = 5_000;

/** Figures of one run, by name. */
export type Figures = Readonly<Record<string, number>>;

const keyOf = (number: number): RowKey => `\x01${String(number).padStart(12, '0')}` as RowKey;

const entryOf = (numbers: readonly number[], seq: bigint, how: { readonly partitions: number; readonly cellBytes: number }): LogEntry => {
  const parts = numbers.map((number, at) => {
    const rowSeq = seq - BigInt(numbers.length - 1 - at);
    const row = {
      key: keyOf(number),
      seq: rowSeq,
      createdSeq: rowSeq,
      replacedSeq: 0n,
      deleted: false,
      bytes: Buffer.alloc(how.cellBytes, 7),
    };
    const owner = how.partitions === 1 ? '' : `user ${number % how.partitions}`;
    return { partition: { tableId: TABLE, owner }, rows: [row] };
  });
  return { seq, payload: encodeCommit({ seq, parts }) };
};

const inFolder = async (run: (path: string) => Promise<Figures>): Promise<Figures> => {
  const path = mkdtempSync(join(tmpdir(), 'kalamdb-sizes-'));
  try {
    return await run(path);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
};

const openLog = (path: string, hot: LmdbStore): Promise<FileCommitLog> =>
  openFileLog({
    directory: join(path, 'log'),
    files: systemFiles,
    timers: systemTimers,
    random: systemRandom,
    startSeq: hot.appliedSeq,
    incarnation: hot.incarnation,
  });

/** Times opening with `commits` commits of one row in the log and none of them in the hot tier. */
export function measureReplay(commits: number, partitions: number): Promise<Figures> {
  return inFolder(async (path) => {
    let hot = await openLmdbStore({ path: join(path, 'hot') });
    let log = await openLog(path, hot);
    let group: LogEntry[] = [];
    for (let number = 1; number <= commits; number += 1) {
      group.push(entryOf([number], BigInt(number) * 4n, { partitions, cellBytes: 60 }));
      if (group.length < GROUP && number < commits) continue;
      await log.append(group, 'relaxed');
      group = [];
    }
    await log.close();
    await hot.close();
    const begin = systemClock.elapsed();
    const cpu = process.cpuUsage();
    hot = await openLmdbStore({ path: join(path, 'hot') });
    log = await openLog(path, hot);
    const openMillis = systemClock.elapsed() - begin;
    await catchUp(log, hot);
    const replayMillis = systemClock.elapsed() - begin;
    const { user, system } = process.cpuUsage(cpu);
    const figures = { commits, partitions, openMillis, replayMillis, cpuMillis: (user + system) / 1_000 };
    await log.close();
    await hot.close();
    return figures;
  });
}

/** Times loading, reading and opening a hot tier of many rows, or of many partitions. */
export function measureRows(rows: number, partitions: number): Promise<Figures> {
  return inFolder(async (path) => {
    let hot = await openLmdbStore({ path: join(path, 'hot') });
    const begin = systemClock.elapsed();
    for (let from = 0; from < rows; ) {
      const batch: LogEntry[] = [];
      for (; batch.length < BATCH_COMMITS && from < rows; from += ROWS_PER_COMMIT) {
        const numbers = Array.from({ length: Math.min(ROWS_PER_COMMIT, rows - from) }, (_, at) => from + at);
        batch.push(entryOf(numbers, BigInt(from + numbers.length), { partitions, cellBytes: 100 }));
      }
      await hot.apply(batch);
    }
    const loadSeconds = (systemClock.elapsed() - begin) / 1_000;
    const figures = {
      rows,
      partitions,
      rowsPerSecond: rows / loadSeconds,
      fileMegabytes: statSync(join(path, 'hot', 'data.mdb')).size / 1e6,
      ...readFigures(hot, rows, partitions),
    };
    await hot.close();
    const opening = systemClock.elapsed();
    hot = await openLmdbStore({ path: join(path, 'hot') });
    const openMillis = systemClock.elapsed() - opening;
    await hot.close();
    return { ...figures, openMillis };
  });
}

function readFigures(hot: LmdbStore, rows: number, partitions: number): Figures {
  const view = hot.snapshot();
  const micros: number[] = [];
  for (let look = 0; look < LOOK_UPS; look += 1) {
    const number = Math.floor(systemRandom.uniform() * rows);
    const owner = partitions === 1 ? '' : `user ${number % partitions}`;
    const begin = systemClock.elapsed();
    if (view.get({ tableId: TABLE, owner }, keyOf(number)) === undefined) throw new Error(`row ${number} is missing`);
    micros.push((systemClock.elapsed() - begin) * 1_000);
  }
  micros.sort((a, b) => a - b);
  const begin = systemClock.elapsed();
  let owners = 0;
  for (const _ of view.owners(TABLE)) owners += 1;
  const ownersMillis = systemClock.elapsed() - begin;
  if (owners !== partitions) throw new Error(`${owners} owners instead of ${partitions}`);
  view.close();
  return { getP50Micros: micros[LOOK_UPS >> 1] ?? 0, getP99Micros: micros[Math.floor(LOOK_UPS * 0.99)] ?? 0, ownersMillis };
}
