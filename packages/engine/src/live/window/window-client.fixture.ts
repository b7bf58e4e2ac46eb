import type { LiveFrame, LiveSink } from '../frame.ts';

/** A row as a client holds it: `_seq` as text, absent and NULL alike. */
export type WindowClientRow = Readonly<Record<string, unknown>>;

interface WindowChange {
  readonly change_type: 'insert' | 'update' | 'delete';
  readonly rows?: readonly WindowClientRow[];
  readonly old_values?: readonly WindowClientRow[];
  readonly positions?: readonly number[];
}

/**
 * What a client puts together of a window by the rules of docs/live-extensions.md: an array in the order of the query. It complains about frames
 * that do not fit what it has.
 */
export class WindowClient implements LiveSink {
  readonly frames: LiveFrame[] = [];
  readonly problems: string[] = [];
  rows: readonly WindowClientRow[] = [];
  limit: number | undefined;
  /** How the last batch ended. */
  state: 'waiting' | 'loading' | 'ready' = 'waiting';
  lastSeqId: bigint | undefined;
  /** Set by the frame that ended the subscription. */
  ended: string | undefined;
  /** The last frame has said that others follow. */
  isWithin = false;
  /** Batches that have replaced everything. */
  begins = 0;
  /** Called after each frame. */
  onFrame: (frame: LiveFrame) => void = () => undefined;

  deliver(frame: LiveFrame): void {
    this.frames.push(frame);
    if (frame.kind === 'error') this.ended = frame.code;
    else if (frame.kind === 'ack') this.limit = frame.limit;
    else if (frame.kind === 'batch') this.#batch(frame);
    else if (frame.kind === 'change') this.#change(JSON.parse(`{${frame.body.json()}}`));
    if (frame.kind !== 'error') this.isWithin = 'more' in frame && frame.more === true;
    this.onFrame(frame);
  }

  #batch({ rows, control }: Extract<LiveFrame, { kind: 'batch' }>): void {
    if (control.batchNum === 0) {
      this.rows = [];
      this.begins += 1;
    }
    this.rows = [...this.rows, ...rows.map((text): WindowClientRow => JSON.parse(text))];
    this.state = control.hasMore ? 'loading' : 'ready';
    this.lastSeqId = control.lastSeqId;
    this.#checkLength();
  }

  #change({ change_type, rows = [], old_values = [], positions = [] }: WindowChange): void {
    if (this.state !== 'ready') this.problems.push(`${change_type} while ${this.state}`);
    const [row = {}] = rows;
    const [old] = old_values;
    const [position = -1] = positions;
    const key = (change_type === 'delete' ? old : row)?.['id'];
    const has = this.rows.find(({ id }) => id === key);
    const others = this.rows.filter(({ id }) => id !== key);
    if ((has === undefined) !== (change_type === 'insert')) this.problems.push(`${change_type} of ${String(key)}`);
    if (old !== undefined && old['_seq'] !== has?.['_seq']) this.problems.push(`${change_type} of another version of ${String(key)}`);
    if (change_type === 'delete') this.rows = others;
    else {
      if (position < 0 || position > others.length) this.problems.push(`${change_type} to ${position} of ${others.length}`);
      // A column that an update set to NULL is absent from its row and present among the old values.
      const nulls = change_type === 'update' ? Object.fromEntries(Object.keys(old ?? {}).map((name) => [name, null])) : {};
      this.rows = others.toSpliced(position, 0, { ...(change_type === 'update' ? has : {}), ...nulls, ...row });
    }
    this.#checkLength();
  }

  #checkLength(): void {
    if (this.limit === undefined || this.rows.length > this.limit) this.problems.push(`${this.rows.length} rows of ${this.limit}`);
  }
}
