import { lookupName } from './reads.ts';

/** Whether a write is acknowledged when it is on the disk or when the system has it. */
export type Durability = 'sync' | 'relaxed';

/** Rows and tables of the large directory, whose goals are set for exactly these. */
export const LARGE_ROWS = 1_000_000;
export const LARGE_TABLES = 10_000;
/** Rows in segments for which goals are set. */
export const COLD_ROWS = 200_000;

/** A number to reach. */
export interface Goal {
  readonly text: string;
  met(value: number): boolean;
}

/** The goal of staying below a limit. */
export const below = (limit: number, unit: string): Goal => ({ text: `< ${limit} ${unit}`, met: (value) => value < limit });

/** Goals for the median, in milliseconds, by the name of the case. The cost of one commit comes on top of some in `sync` and is allowed for. */
const MEDIANS: Readonly<Record<string, { readonly relaxed: number; readonly sync: number }>> = {
  'INSERT, 1 client(s)': { relaxed: 0.35, sync: 0.6 },
  'INSERT of 50 rows, 1 client': { relaxed: 1, sync: 1.25 },
  'transaction of 50 INSERTs, 1 client': { relaxed: 2.5, sync: 2.75 },
  'SELECT 200 rows': { relaxed: 0.6, sync: 0.6 },
  'COUNT of 200 rows': { relaxed: 0.6, sync: 0.6 },
  'filter on 200 rows': { relaxed: 0.6, sync: 0.6 },
  'GROUP BY over 10000 rows': { relaxed: 4, sync: 4 },
  [`COUNT over ${COLD_ROWS} cold rows`]: { relaxed: 1.5, sync: 1.5 },
  [`key look-up over ${COLD_ROWS} cold rows`]: { relaxed: 20, sync: 20 },
  [`GROUP BY over ${COLD_ROWS} cold rows`]: { relaxed: 30, sync: 30 },
  [lookupName(LARGE_ROWS)]: { relaxed: 0.3, sync: 0.3 },
  'SHARED table: INSERT due to callback at 2000 commits/s': { relaxed: 1, sync: 1.25 },
  'USER table: INSERT due to callback at 2000 commits/s': { relaxed: 1, sync: 1.25 },
  'snapshot of 1000 rows': { relaxed: 5, sync: 5 },
};

/** The goal for the median of a case; `undefined` when there is none. */
export function medianGoal(name: string, durability: Durability | undefined): Goal | undefined {
  const limits = MEDIANS[name];
  return limits === undefined || durability === undefined ? undefined : below(limits[durability], 'ms');
}

/** Goals for single figures. */
export const GOALS = {
  insertShare: { text: '>= 50 %', met: (value: number) => value >= 50 } as Goal,
  lookupShare: { text: '<= 120 %', met: (value: number) => value <= 120 } as Goal,
  startMillis: below(1000, 'ms') as Goal,
  secondStartMillis: below(2000, 'ms') as Goal,
  idleMiB: below(120, 'MiB') as Goal,
  idlePercent: below(1, '%') as Goal,
  /** Of one core; 10,000 events in a second are 100 each. */
  eventMicros: below(100, 'us') as Goal,
  catalogMillis: below(20, 'ms') as Goal,
  tableListMillis: below(100, 'ms') as Goal,
  addColumnMillis: below(50, 'ms') as Goal,
  blockMillis: below(5, 'ms') as Goal,
  connectionsPerSecond: { text: '>= 1000 /s', met: (value: number) => value >= 1000 } as Goal,
  idleRowsMoved: { text: '>= 200000 rows/s', met: (value: number) => value >= 200_000 } as Goal,
  loadedRowsMoved: { text: '>= 80000 rows/s', met: (value: number) => value >= 80_000 } as Goal,
  /** Beside a flush or a compaction, of before. */
  insertP99Share: { text: '<= 200 %', met: (value: number) => value <= 200 } as Goal,
  coldMiB: below(1024, 'MiB') as Goal,
  connectionKib: below(30, 'KiB') as Goal,
  callbackP99Millis: below(5, 'ms') as Goal,
  fewSocketsMillis: below(60, 'ms') as Goal,
  manySocketsMillis: below(200, 'ms') as Goal,
  framesPerSecond: { text: '>= 70000 frames/s', met: (value: number) => value >= 70_000 } as Goal,
  /** As fast as connections are accepted. */
  returnSeconds: below(10, 's') as Goal,
  crowdSeconds: below(5, 's') as Goal,
  subscriptionBytes: below(1229, 'bytes') as Goal,
  predicateNanos: below(100, 'ns') as Goal,
  streamP99Millis: below(5, 'ms') as Goal,
} as const;
