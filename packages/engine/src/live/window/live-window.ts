import { kalamError } from '@kalamdb/protocol';
import type { RowChange } from '../../contract.ts';
import type { CommitEndings, CommitListener } from '../commit-endings.ts';
import type { LiveCounters } from '../counters.ts';
import { SharedBody } from '../frame.ts';
import { type ChangeTaker, encoded, type GroupMember, type QueryGroup } from '../query-group.ts';
import type { Router } from '../router.ts';
import { type RowEncoder, rowEncoderOf } from '../row-encoder.ts';
import type { LiveSources } from '../sources.ts';
import { RankedRows } from './ranked-rows.ts';
import type { WindowBounds, WindowBudget } from './window-bounds.ts';
import { type WindowStep, windowDifference } from './window-difference.ts';
import { WindowImage } from './window-image.ts';
import { type PlacedRow, WindowOrder } from './window-order.ts';
import { readWindow } from './window-reader.ts';

/** Rows held behind the window at least, so that rows that leave it need no reading; larger windows hold as many as they show. */
const SLACK_ROWS_MIN = 64;
/** Times that a window is read, each time with twice the slack, while rows leave it faster than that. */
const READS_MAX = 5;
/** Milliseconds for which one turn tells members what has moved: the others hear it behind what else has arrived. */
const SLICE_MILLIS = 3;

/** What a window works with. */
export interface WindowParts {
  readonly sources: LiveSources;
  readonly router: Router;
  readonly counters: LiveCounters;
  readonly endings: CommitEndings;
  readonly budget: WindowBudget;
}

/** A subscription as its window sees it. */
export interface WindowMember {
  /** The window shows something else, or can be read again. */
  windowMoved(): void;
  /** Ends the member with an error frame. */
  fail(error: unknown): void;
}

/**
 * The window of one distinct query on one partition, kept once for all its subscriptions: the first rows in order and some behind them. A change
 * takes a binary search; what it means is told at the end of its commit. When so many rows have left that the next ones are not known, they are read
 * again, and the members hear nothing until that is done.
 */
export class LiveWindow implements GroupMember, ChangeTaker, CommitListener {
  readonly bounds: WindowBounds;
  readonly encoder: RowEncoder;
  readonly #group: QueryGroup;
  readonly #parts: WindowParts;
  readonly #order: WindowOrder;
  readonly #members = new Set<WindowMember>();
  /** `undefined` while they are read. */
  #ranked: RankedRows | undefined;
  /** What the ranked rows were counted as. */
  #countedBytes = 0;
  #readSeq = 0n;
  /** What a stream had forgotten when its events began to be read. */
  #readHorizon = 0n;
  #image: WindowImage | undefined;
  /** The commit that is handed on has changed what is shown. */
  #isMoved = false;
  /** Numbers the readings: one that is not the last one any more stops. */
  #reading = 0;
  /** The frames from earlier images to the present one. */
  readonly #scripts = new Map<WindowImage, readonly SharedBody[]>();
  /** Members that were not told of the present image yet, those who wait longest first. */
  readonly #untold = new Set<WindowMember>();
  #isTelling = false;

  constructor(group: QueryGroup, bounds: WindowBounds, parts: WindowParts) {
    const { plan } = group;
    this.#group = group;
    this.#parts = parts;
    this.bounds = bounds;
    this.#order = new WindowOrder(plan.window ?? { order: [] }, group.context);
    // Whoever holds the rows in order must know them again.
    const projected = new Set(plan.projection.map(({ id }) => id));
    const projection = plan.table.columns.filter(({ id, primaryKey }) => primaryKey || projected.has(id));
    this.encoder = rowEncoderOf({ table: plan.table, star: plan.star, projection });
  }

  /** What the window shows now; `undefined` until it has been read, or has come to the end of a commit that moves it: the members will hear. */
  get image(): WindowImage | undefined {
    return this.#ranked === undefined || this.#isMoved ? undefined : this.#image;
  }

  /** The commit at which its rows were read: every change up to it is in them. */
  get readSeq(): bigint {
    return this.#readSeq;
  }

  /** From now on the member hears. The first one makes the window read its rows. */
  join(member: WindowMember): void {
    this.#members.add(member);
    if (this.#members.size === 1) this.#readAgain();
  }

  /** The member hears nothing any more; leaving twice is harmless. The last one leaves nothing behind. */
  leave(member: WindowMember): void {
    this.#untold.delete(member);
    if (!this.#members.delete(member) || this.#members.size > 0) return;
    this.#parts.router.leave(this.#group, this);
    this.#forgetRows();
    this.#image = undefined;
    this.#scripts.clear();
  }

  /** Some commits were not handed on: what they mean has to be read. */
  miss(): void {
    // A reading that is under way comes to them, and one of after them has them.
    if (this.#ranked === undefined || this.#isRetired || this.#readSeq >= this.#parts.sources.commits.watermark) return;
    this.#readAgain();
  }

  /** Somebody begins with what is there: events that a stream has forgotten since they were read, without a commit that says so, are not. */
  refresh(): void {
    if (this.#ranked !== undefined && !this.#isRetired && this.#horizon() > this.#readHorizon) this.#readAgain();
  }

  /** What a client has that has got no rows. */
  emptyImage(): WindowImage {
    return new WindowImage([], this.#parts.budget);
  }

  /** Takes in a change, in commit order. Throws what the filter and the order throw. */
  apply(change: RowChange): void {
    const ranked = this.#ranked;
    if (ranked === undefined || change.seq <= this.#readSeq) return;
    const shown = this.#group.shown(change);
    const touched = shown === undefined ? ranked.remove(change.key) : ranked.put(this.#order.placed(shown));
    const { offset, limit } = this.bounds;
    if (touched >= offset + limit || this.#isMoved) return;
    this.#isMoved = true;
    this.#parts.endings.wait(this);
  }

  commitEnded(): void {
    if (!this.#isMoved) return;
    this.#isMoved = false;
    const ranked = this.#ranked;
    if (ranked === undefined || this.#isRetired) return;
    const { offset, limit } = this.bounds;
    try {
      this.#count(ranked);
      if (ranked.knows(offset + limit)) this.#show(ranked);
      else this.#readAgain();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The frames that lead from an earlier image to the present one. Throws CONVERSION_ERROR. */
  scriptFrom(earlier: WindowImage): readonly SharedBody[] {
    const image = this.#image;
    if (image === undefined || image === earlier) return [];
    let script = this.#scripts.get(earlier);
    if (script === undefined) {
      script = windowDifference(earlier.rows, image.rows, this.#order).map((step) => this.#body(step));
      this.#scripts.set(earlier, script);
    }
    return script;
  }

  /** A row of a batch. Throws CONVERSION_ERROR. */
  rowText({ row }: PlacedRow): string {
    return encoded(() => this.encoder.row(row));
  }

  /** Windows take changes themselves. */
  push(): void {}

  fail(error: unknown): void {
    for (const member of [...this.#members]) member.fail(error);
  }

  /** The table has another version, or is gone: the members leave soon, and nothing is read in the old form. */
  get #isRetired(): boolean {
    return this.#group.retiredSeq !== undefined;
  }

  #readAgain(): void {
    this.#forgetRows();
    this.#parts.router.join(this.#group, this);
    const reading = this.#reading;
    const cancelled = (): boolean => reading !== this.#reading || this.#isRetired;
    this.#read(cancelled).catch((error: unknown) => {
      if (!cancelled()) this.fail(error);
    });
  }

  async #read(cancelled: () => boolean): Promise<void> {
    const { sources, counters } = this.#parts;
    const { offset, limit } = this.bounds;
    this.#readHorizon = this.#horizon();
    let slack = Math.max(SLACK_ROWS_MIN, limit);
    for (let attempt = 1; attempt <= READS_MAX; attempt++, slack *= 2) {
      counters.windowReads += 1;
      const ranked = new RankedRows(this.#order, offset + limit + slack);
      const done = (seq: bigint): void => {
        if (!cancelled() && ranked.knows(offset + limit)) this.#readTo(ranked, seq);
      };
      const sliced = (): void => this.#count(ranked);
      await readWindow(sources, { group: this.#group, order: this.#order, ranked }, { cancelled, sliced, done });
      if (cancelled() || this.#ranked !== undefined) return;
    }
    throw kalamError('SUBSCRIPTION_FAILED', { reason: 'rows leave the window faster than the next ones can be read' });
  }

  #readTo(ranked: RankedRows, seq: bigint): void {
    this.#ranked = ranked;
    this.#readSeq = seq;
    this.#count(ranked);
    this.#show(ranked);
  }

  /** What the ranked rows show is the present image from now on. */
  #show(ranked: RankedRows): void {
    const { offset, limit } = this.bounds;
    this.#scripts.clear();
    this.#image = new WindowImage(ranked.slice(offset, offset + limit), this.#parts.budget);
    for (const member of this.#members) this.#untold.add(member);
    if (!this.#isTelling) this.#tell();
  }

  #tell(): void {
    const { clock, timers } = this.#parts.sources;
    const end = clock.elapsed() + SLICE_MILLIS;
    this.#isTelling = true;
    for (const member of this.#untold) {
      if (clock.elapsed() >= end) {
        timers.soon(() => this.#tell());
        return;
      }
      this.#untold.delete(member);
      member.windowMoved();
    }
    this.#isTelling = false;
  }

  /** The highest `_seq` of a stream's events that are gone; of other tables nothing goes without a commit. */
  #horizon(): bigint {
    const { plan, partition } = this.#group;
    return plan.table.kind === 'stream' ? this.#parts.sources.horizon(plan.table, partition) : 0n;
  }

  /** Throws WINDOWS_FULL when the windows hold too much with these rows. */
  #count(ranked: RankedRows): void {
    const more = ranked.bytes - this.#countedBytes;
    if (more > 0 && this.#parts.budget.lacks(more)) throw kalamError('WINDOWS_FULL');
    this.#parts.budget.count(more);
    this.#countedBytes = ranked.bytes;
  }

  #forgetRows(): void {
    this.#reading += 1;
    this.#ranked = undefined;
    this.#isMoved = false;
    this.#parts.budget.count(-this.#countedBytes);
    this.#countedBytes = 0;
  }

  #body(step: WindowStep): SharedBody {
    const { row } = step.row;
    const body = new SharedBody(this.#parts.sources.clock.now(), () => {
      switch (step.kind) {
        case 'delete':
          return this.encoder.delete(row.cells, row.seq);
        case 'insert':
          return `${this.encoder.insert(row)},"positions":[${step.index}]`;
        case 'update':
          return `${this.encoder.update(row, step.previous.row)},"positions":[${step.index}]`;
        default:
          return step satisfies never;
      }
    });
    encoded(() => body.json());
    this.#parts.counters.bodies += 1;
    return body;
  }
}
