import type { ChangeSet, RowChange } from '../contract.ts';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';
import type { CommitEndings } from './commit-endings.ts';
import type { SharedBody } from './frame.ts';
import type { QueryGroup } from './query-group.ts';
import type { Router } from './router.ts';
import type { LiveSources } from './sources.ts';

/** Milliseconds for which one turn hands on: a commit that takes longer goes on behind what else has arrived. */
const SLICE_MILLIS = 3;
/** Commits that are taken out of the tail at a time. */
const TAKEN_COMMITS_MAX = 256;

/** What a dispatch works with. */
export interface DispatchParts {
  readonly sources: Pick<LiveSources, 'commits' | 'clock' | 'timers' | 'sliceRowsMax'>;
  readonly router: Router;
  readonly endings: CommitEndings;
  /** The tail does not reach back to what was handed on: whoever is live must read what it lacks, from before `goOn` moves to the watermark. */
  missed(goOn: () => void): void;
}

/**
 * Hands commits on to the queries that they concern, in commit order: in the turn that publishes them, unless that takes long. Then the
 * rest follows in slices, and what is committed meanwhile waits behind it in the tail.
 */
export class Dispatch {
  readonly #parts: DispatchParts;
  #seq: bigint;
  #slicing = false;
  #closed = false;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
    this.#seq = parts.sources.commits.watermark;
  }

  /** Everything at or below it was handed on. */
  get seq(): bigint {
    return this.#seq;
  }

  /** Hands on the commit that follows those before. */
  handOn(change: ChangeSet): void {
    if (this.#slicing) return;
    const steps = this.#steps([change]);
    if (this.#isDone(steps)) return;
    this.#slicing = true;
    this.#later(steps);
  }

  /** Nothing is handed on any more. */
  close(): void {
    this.#closed = true;
  }

  #later(steps: Steps<void>): void {
    this.#parts.sources.timers.soon(() => this.#goOn(steps));
  }

  /** A slice, and then of what the tail holds, until nothing is left; what has fallen out of it is caught up with. */
  #goOn(steps: Steps<void>): void {
    if (this.#closed) return;
    if (!this.#isDone(steps)) {
      this.#later(steps);
      return;
    }
    const { sources, missed } = this.#parts;
    const changes = sources.commits.tail(this.#seq, TAKEN_COMMITS_MAX);
    if (changes === undefined) {
      missed(() => {
        this.#seq = sources.commits.watermark;
      });
    }
    this.#slicing = changes !== undefined && changes.length > 0;
    if (this.#slicing) this.#later(this.#steps(changes ?? []));
  }

  *#steps(changes: readonly ChangeSet[]): Steps<void> {
    let left = STEP_ROWS;
    for (const { parts, seq } of changes) {
      for (const { partition, rows } of parts) {
        // Whoever joins while the commit is handed on has read all of it.
        const routes = this.#parts.router.routes(partition);
        if (routes === undefined || seq <= routes.sinceSeq) continue;
        const last = rows.at(-1);
        for (const row of rows) {
          for (const groups of routes.concerned(row)) {
            for (const group of groups) {
              const body = bodyFor(group, row);
              if (body !== undefined) left = yield* pushed(group, { row, body, more: row !== last }, left);
              if (--left > 0) continue;
              left = STEP_ROWS;
              yield;
            }
          }
          if (--left > 0) continue;
          left = STEP_ROWS;
          yield;
        }
      }
      this.#seq = seq;
      for (const listener of this.#parts.endings.take()) {
        listener.commitEnded(seq);
        if (--left > 0) continue;
        left = STEP_ROWS;
        yield;
      }
    }
  }

  /** Whether the steps are done after this slice. */
  #isDone(steps: Steps<void>): boolean {
    const { clock, sliceRowsMax = Number.POSITIVE_INFINITY } = this.#parts.sources;
    const end = clock.elapsed() + SLICE_MILLIS;
    let done = 0;
    do {
      if (steps.next().done === true) return true;
      done += STEP_ROWS;
    } while (done < sliceRowsMax && clock.elapsed() < end);
    return false;
  }
}

/** What a change means to a query, encoded once; what cannot be evaluated or encoded ends its members. */
function bodyFor(group: QueryGroup, row: RowChange): SharedBody | undefined {
  // In the form of another version of the table: its members read it.
  if (group.retiredSeq !== undefined) return undefined;
  try {
    if (group.taker === undefined) return group.bodyOf(row);
    group.taker.apply(row);
  } catch (error) {
    for (const member of [...group.members]) member.fail(error);
  }
  return undefined;
}

interface Push {
  readonly row: RowChange;
  readonly body: SharedBody;
  readonly more: boolean;
}

/** Pushes to each member; the result is what is left of the present step. */
function* pushed(group: QueryGroup, { row, body, more }: Push, left: number): Generator<undefined, number> {
  let rest = left;
  for (const member of group.members) {
    member.push(row.seq, body, more);
    if (--rest > 0) continue;
    rest = STEP_ROWS;
    yield;
    if (group.retiredSeq !== undefined) break;
  }
  return rest;
}
