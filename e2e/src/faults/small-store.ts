import { Buffer } from 'node:buffer';
import { systemRandom, systemTimers } from '@kalamdb/protocol';
import {
  type CommitLog,
  type CommitRow,
  catchUp,
  encodeCommit,
  type FileCommitLog,
  type HotStore,
  type LogEntry,
  openDataDirectory,
  openFileLog,
  openLmdbStore,
  type PartitionId,
  type RowKey,
  systemFiles,
} from '@kalamdb/storage';

const LOG_FILE_BYTES = 16_384;
const KEYS = 60;
const CELL_BYTES: readonly number[] = [0, 20, 90, 300, 5_000];

/** Partitions that the commits of {@link smallCommit} write to. */
export const smallPartitions: readonly PartitionId[] = [
  { tableId: 1_000, owner: 'alice' },
  { tableId: 1_000, owner: 'bob' },
  { tableId: 1_001, owner: '' },
];

/** An open log and hot tier of one directory. */
export interface OpenStore {
  readonly log: CommitLog;
  readonly hot: HotStore;
  /** Appends and, unless told otherwise, applies. */
  commit(entries: readonly LogEntry[], applied?: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Opens a data directory as the engine does: the hot tier is at the end of the log then. */
export async function openStore(path: string): Promise<OpenStore> {
  const directory = await openDataDirectory(path, systemFiles);
  let hot: Awaited<ReturnType<typeof openLmdbStore>> | undefined;
  let log: FileCommitLog | undefined;
  try {
    hot = await openLmdbStore({ path: directory.hotPath });
    const { appliedSeq: startSeq, incarnation } = hot;
    const options = { directory: directory.logPath, files: systemFiles, timers: systemTimers, random: systemRandom };
    log = await openFileLog({ ...options, startSeq, incarnation, fileBytes: LOG_FILE_BYTES });
    await catchUp(log, hot);
  } catch (error) {
    await log?.close();
    await hot?.close();
    await directory.close();
    throw error;
  }
  const opened = { log, hot };
  return {
    ...opened,
    commit: async (entries, applied = true) => {
      await opened.log.append(entries, 'sync');
      if (!applied) return;
      await opened.hot.apply(entries);
      opened.log.release(opened.hot.appliedSeq);
    },
    close: async () => {
      try {
        await opened.hot.close();
      } finally {
        await opened.log.close().finally(() => directory.close());
      }
    },
  };
}

/**
 * The n-th commit (from 1) of a fixed history: names rise by 10, and each commit writes one key of every partition, over and over, of
 * many sizes, deleting some. So what must be there after n commits needs no bookkeeping.
 */
export function smallCommit(n: number): LogEntry {
  const seq = BigInt(n) * 10n;
  const parts = smallPartitions.map((partition, at) => ({ partition, rows: [smallRow(n, at)] }));
  return { seq, payload: encodeCommit({ seq, parts }) };
}

function smallRow(n: number, at: number): CommitRow {
  const seq = BigInt(n) * 10n - 9n + BigInt(at);
  const before = n > KEYS ? seq - BigInt(KEYS) * 10n : 0n;
  const first = BigInt(((n - 1) % KEYS) + 1) * 10n - 9n + BigInt(at);
  const bytes = Buffer.alloc(CELL_BYTES[(n + at) % CELL_BYTES.length] ?? 0, `${n}/${at}.`);
  return {
    key: `key ${String(n % KEYS).padStart(3, '0')}` as RowKey,
    seq,
    createdSeq: first,
    replacedSeq: before,
    deleted: n % 7 === 0,
    bytes,
  };
}

/** Everything that the store must hold after `commits` commits, as texts. */
export function expectedRows(commits: number): readonly string[] {
  const first = Math.max(1, commits - KEYS + 1);
  const rows = smallPartitions.map((_, at) => Array.from({ length: commits - first + 1 }, (_row, back) => smallRow(first + back, at)));
  return rows.flatMap((partition) => partition.map(rowText));
}

/** Everything that a store holds, read along each road there is, as texts; throws when the roads disagree. */
export function storedRows(hot: HotStore): readonly string[] {
  const view = hot.snapshot();
  try {
    const owners = [...new Set(smallPartitions.map(({ tableId }) => tableId))].flatMap((tableId) => [...view.owners(tableId)]);
    const texts: string[] = [];
    for (const partition of smallPartitions) {
      const bySeq = [...view.scanBySeq(partition, 0n)].map(rowText);
      const byKey = [...view.scan(partition)];
      if (byKey.length > 0 && !owners.includes(partition.owner)) throw new Error(`owner '${partition.owner}' is missing`);
      const got = byKey.map(({ key }) => view.get(partition, key)).map((row) => (row === undefined ? 'none' : rowText(row)));
      if (byKey.map(rowText).join() !== got.join()) throw new Error('a look-up and a scan disagree');
      if (byKey.map(rowText).sort().join() !== [...bySeq].sort().join()) throw new Error('the index and a scan disagree');
      for (let at = 0; at < KEYS; at += 1) {
        const key = `key ${String(at).padStart(3, '0')}` as RowKey;
        const row = view.get(partition, key);
        if ((row === undefined) === byKey.some((other) => other.key === key))
          throw new Error(`${key} is there for one and not for the other`);
      }
      texts.push(...bySeq);
    }
    return texts;
  } finally {
    view.close();
  }
}

function rowText({ key, seq, createdSeq, deleted, bytes }: Omit<CommitRow, 'replacedSeq'>): string {
  return `${key} ${seq} ${createdSeq} ${deleted} ${bytes.length} ${Buffer.from(bytes).subarray(0, 12).toString('latin1')}`;
}
