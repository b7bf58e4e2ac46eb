import type { KalamError } from '@kalamdb/protocol';
import { encodeCommit, encodeCommitSteps, type LogEntry } from '@kalamdb/storage';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import { commitRow, type DraftedCommit } from './draft.ts';
import { type LargeCommit, rowCount } from './large-commit.ts';

/** Commits that one group may hold. */
export const GROUP_COMMITS_MAX = 4096;
/** Rows up to which a group is encoded and published in the turn that it has. */
const ROWS_AT_ONCE_MAX = 256;
/** Encoded bytes up to which the same holds. */
const BYTES_AT_ONCE_MAX: number = 256 * 1024;

/** A commit that had its turn and is not below the watermark yet. */
export interface PendingCommit {
  readonly drafted: DraftedCommit;
  /** Set when it was prepared before its turn. */
  readonly large: LargeCommit | undefined;
  readonly alone: boolean;
  readonly settle: (error: KalamError | undefined) => void;
  readonly done: Promise<KalamError | undefined>;
}

/** Whether a group is so small that it is not worth being cut into slices. */
export function isShort(group: readonly PendingCommit[]): boolean {
  let rows = 0;
  let bytes = 0;
  for (const { drafted } of group) {
    rows += rowCount(drafted.change);
    bytes += drafted.change.bytes;
  }
  return rows <= ROWS_AT_ONCE_MAX && bytes <= BYTES_AT_ONCE_MAX;
}

/** The log entries of a group; a commit that wrote to streams only keeps its place in the order but has none. */
export function* groupEntries(group: readonly PendingCommit[]): Steps<LogEntry[]> {
  const entries: LogEntry[] = [];
  for (const one of group) {
    const { large } = one;
    const { change, durable } = one.drafted;
    if (durable.length === 0) continue;
    if (large !== undefined) entries.push(large.entry);
    else {
      const parts = durable.map(({ partition, rows }) => ({ partition, rows: rows.map(commitRow) }));
      const commit = { seq: change.seq, parts };
      entries.push({ seq: change.seq, payload: isShort([one]) ? encodeCommit(commit) : yield* encodeCommitSteps(commit) });
    }
    if (entries.length % STEP_ROWS === 0) yield;
  }
  return entries;
}

/** How many groups there were. */
export interface GroupFigures {
  readonly commits: number;
  /** Writes of the log. */
  readonly groups: number;
  /** Groups by size: `[0]` of one commit, `[i]` of more than 2^(i-1) and at most 2^i. */
  readonly groupSizes: readonly number[];
}

/** What a sequencer has done since it was made, and what it holds. */
export interface SequencerFigures extends GroupFigures {
  readonly overlayBytes: number;
  readonly tailBytes: number;
}

/** Counts groups. */
export class GroupCounts {
  #commits = 0;
  #groups = 0;
  readonly #sizes: number[] = Array.from({ length: Math.log2(GROUP_COMMITS_MAX) + 1 }, () => 0);

  get figures(): GroupFigures {
    return { commits: this.#commits, groups: this.#groups, groupSizes: [...this.#sizes] };
  }

  /** One more group of so many commits. */
  add(commits: number): void {
    this.#commits += commits;
    this.#groups += 1;
    const size = 32 - Math.clz32(commits - 1);
    this.#sizes[size] = (this.#sizes[size] ?? 0) + 1;
  }
}
