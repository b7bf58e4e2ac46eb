import type { ColdRow, RowKey } from '@kalamdb/storage';
import type { SentSegment } from './cold-messages.ts';
import type { ColdScan } from './cold-reader.ts';

/** The rows of one segment, and what each is made into. */
export interface SegmentRows<T> {
  readonly batches: AsyncIterator<readonly ColdRow[]>;
  made(row: ColdRow): T;
}

type OpenSegment<S, T> = (segment: S) => Promise<SegmentRows<T>>;

/** The rows of segments in the order of the scan, in batches. A segment is opened when its first row may be next. */
export function scanRows<S extends SentSegment, T>(
  segments: readonly S[],
  scan: ColdScan,
  open: OpenSegment<S, T>,
): AsyncGenerator<readonly T[], undefined> {
  return scan.order === 'seq' ? inSeqOrder(segments, scan.throughSeq, open) : inKeyOrder(segments, open);
}

/** The `_seq` ranges of segments are disjoint, and they come in that order. */
async function* inSeqOrder<S extends SentSegment, T>(
  segments: readonly S[],
  throughSeq: bigint | undefined,
  open: OpenSegment<S, T>,
): AsyncGenerator<readonly T[], undefined> {
  for (const segment of segments) {
    const { batches, made } = await open(segment);
    try {
      for (let step = await batches.next(); step.done !== true; step = await batches.next()) {
        const wanted = throughSeq === undefined ? step.value : step.value.filter(({ seq }) => seq <= throughSeq);
        if (wanted.length > 0) yield wanted.map(made);
        if (wanted.length < step.value.length) return undefined;
      }
    } finally {
      await batches.return?.();
    }
  }
  return undefined;
}

/** Rows of one batch of a merge. */
const BATCH_ROWS = 512;

async function* inKeyOrder<S extends SentSegment, T>(
  segments: readonly S[],
  open: OpenSegment<S, T>,
): AsyncGenerator<readonly T[], undefined> {
  const waiting = [...segments].sort((a, b) => (a.segment.minKey < b.segment.minKey ? -1 : 1));
  const heads: Head<T>[] = [];
  let batch: T[] = [];
  try {
    for (;;) {
      await openDue(waiting, heads, open);
      const head = heads[0];
      if (head === undefined) break;
      batch.push(head.take());
      if (head.row === undefined) await head.fill();
      if (head.row === undefined) removeFirst(heads);
      else siftDown(heads);
      if (batch.length < BATCH_ROWS) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
    return undefined;
  } finally {
    for (const head of heads) await head.close();
  }
}

/** Opens the segments that may hold the next row. */
async function openDue<S extends SentSegment, T>(waiting: S[], heads: Head<T>[], open: OpenSegment<S, T>): Promise<void> {
  for (;;) {
    const [next] = waiting;
    const first = heads[0]?.key;
    if (next === undefined || (first !== undefined && next.segment.minKey > first)) return;
    waiting.shift();
    const head = new Head(await open(next));
    await head.fill();
    if (head.row === undefined) continue;
    heads.push(head);
    siftUp(heads);
  }
}

/** A segment that is being read, at its next row. */
class Head<T> {
  readonly #rows: SegmentRows<T>;
  #batch: readonly ColdRow[] = [];
  #at = 0;

  constructor(rows: SegmentRows<T>) {
    this.#rows = rows;
  }

  /** The next row; `undefined` when another batch must be read first. */
  get row(): ColdRow | undefined {
    return this.#batch[this.#at];
  }

  get key(): RowKey | undefined {
    return this.row?.key;
  }

  take(): T {
    const row = this.row;
    this.#at += 1;
    if (row === undefined) throw new Error('a row was taken that is not there');
    return this.#rows.made(row);
  }

  async fill(): Promise<void> {
    const step = await this.#rows.batches.next();
    this.#batch = step.done === true ? [] : step.value;
    this.#at = 0;
  }

  async close(): Promise<void> {
    await this.#rows.batches.return?.();
  }
}

const keyAt = <T>(heads: readonly Head<T>[], index: number): RowKey | undefined => heads[index]?.key;

function swap<T>(heads: Head<T>[], a: number, b: number): void {
  const [first, second] = [heads[a], heads[b]];
  if (first === undefined || second === undefined) return;
  heads[a] = second;
  heads[b] = first;
}

function siftUp<T>(heads: Head<T>[]): void {
  for (let at = heads.length - 1; at > 0; ) {
    const parent = (at - 1) >>> 1;
    if ((keyAt(heads, parent) ?? '') <= (keyAt(heads, at) ?? '')) return;
    swap(heads, at, parent);
    at = parent;
  }
}

function siftDown<T>(heads: Head<T>[]): void {
  for (let at = 0; ; ) {
    let least = at;
    for (const child of [2 * at + 1, 2 * at + 2]) {
      const key = keyAt(heads, child);
      if (key !== undefined && key < (keyAt(heads, least) ?? '')) least = child;
    }
    if (least === at) return;
    swap(heads, at, least);
    at = least;
  }
}

function removeFirst<T>(heads: Head<T>[]): void {
  const last = heads.pop();
  if (last === undefined || heads.length === 0) return;
  heads[0] = last;
  siftDown(heads);
}
