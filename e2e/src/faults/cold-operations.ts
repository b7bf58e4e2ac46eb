import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { restoreDatabase } from '@kalamdb/engine';
import { ColdRows, preparedIds } from './cold-rows.ts';

/** The namespace that is backed up alone, dropped, and restored beside the rows that are written meanwhile. */
const RESTORED = 'restored';
/** Rows that a backup does not hold: a restore of the whole database takes them away. */
const LATER_IDS: readonly number[] = [101, 102, 103];

/** Something that works on segments or backups. `place` is a folder for a backup. */
export interface ColdOperation {
  /** Brings about what it begins with, on a disk that works, in a database that {@link ColdRows.prepare} has filled. */
  prepare(rows: ColdRows, place: string): Promise<void>;
  /** May be called again, whatever it came to before. */
  run(rows: ColdRows, place: string): Promise<void>;
  /** Throws when what it has left, wherever it was cut short, is neither nothing nor whole. */
  check(rows: ColdRows, place: string): Promise<void>;
  /** Rows that are there until it has taken effect. */
  readonly idsBefore: readonly number[];
  /** Whether it takes effect when the database is opened the next time, and everything committed until then is gone. */
  readonly replaces: boolean;
}

const nothing = async (): Promise<void> => undefined;
const plain = { prepare: nothing, check: nothing, idsBefore: [], replaces: false } as const;
const backUp = (rows: ColdRows, place: string): Promise<void> => rows.job(`BACKUP DATABASE TO '${place}'`);

/** The operations by the name that a child is told. */
export const coldOperations: Readonly<Record<string, ColdOperation>> = {
  flush: { ...plain, run: (rows) => rows.flush() },
  compaction: { ...plain, run: (rows) => rows.compact() },
  backup: { ...plain, run: backUp, check: checkBackup },
  restore: {
    ...plain,
    prepare: async (rows, place) => {
      await backUp(rows, place);
      for (const id of LATER_IDS) await rows.insert(id);
      await rows.flush();
    },
    run: (rows, place) => rows.job(`RESTORE DATABASE FROM '${place}'`),
    idsBefore: LATER_IDS,
    replaces: true,
  },
  'restore-namespace': {
    ...plain,
    prepare: async (rows, place) => {
      await rows.prepare(RESTORED);
      await rows.job(`BACKUP DATABASE ${RESTORED} TO '${place}'`);
      await rows.run(`DROP NAMESPACE ${RESTORED} CASCADE`);
      await rows.jobsEnded();
    },
    run: async (rows, place) => {
      if (!(await rows.has(RESTORED))) await rows.job(`RESTORE DATABASE ${RESTORED} FROM '${place}'`);
    },
    check: async (rows) => {
      if (!(await rows.has(RESTORED))) return;
      const ids = await rows.ids(RESTORED);
      if (ids.join() !== preparedIds.join()) throw new Error(`the restored namespace has ${ids} instead of ${preparedIds}`);
    },
  },
};

/** The operation of that name; throws when there is none. */
export function coldOperation(name: string): ColdOperation {
  const operation = coldOperations[name];
  if (operation === undefined) throw new Error(`there is no operation '${name}'`);
  return operation;
}

/** Whether a restore of the whole database has taken over in a directory. */
export function hasTakenOver(directory: string): boolean {
  return readdirSync(directory).some((name) => name.startsWith('replaced-'));
}

/** What passes for a backup can be restored, and holds what there was when it was begun. */
async function checkBackup(_rows: ColdRows, place: string): Promise<void> {
  if (!existsSync(join(place, 'manifest.json'))) return;
  const directory = join(dirname(place), 'again');
  try {
    await restoreDatabase(place, directory);
    const again = await ColdRows.open(directory);
    try {
      const ids = await again.ids();
      const missing = preparedIds.filter((id) => !ids.includes(id));
      if (missing.length > 0) throw new Error(`rows ${missing} are missing in the backup`);
    } finally {
      await again.database.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
