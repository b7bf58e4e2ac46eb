import type { RowVersion } from '../contract.ts';
import type { QueryGroup } from './query-group.ts';
import { type LiveAhead, type LiveSources, SLICE_ROWS_MAX } from './sources.ts';

/** Characters of JSON that one batch may hold; the row that passes it is still in. */
export const BATCH_CHARS_MAX: number = 8 * 1024 * 1024;
/** First time window, in milliseconds before the boundary, in which the newest rows are looked for. */
const LAST_ROWS_WINDOW_MILLIS = 64n;
/** How much wider the next window is when one did not hold enough rows. */
const LAST_ROWS_WINDOW_GROWTH = 8n;
/** Bits of a `_seq` below its milliseconds. */
const SEQ_MILLIS_SHIFT = 22n;

/**
 * Up to where a subscription's client is right.
 *
 * - `complete`: it has what the query answered at commit `seq` (for its initial rows: less rows that changed after `seq`),
 *   so replaying the commits above `seq` makes it right.
 * - `scanned`: it has every row whose newest version is at or below `seq`, but rows with newer versions may be stale in it
 *   without any later commit saying so; only reading the index on to the end of a snapshot makes it right.
 */
export interface Cursor {
  readonly kind: 'complete' | 'scanned';
  readonly seq: bigint;
}

/** The rows of one batch, and what comes after it: another batch, or changes from a cursor on. */
export interface LoadedBatch {
  readonly rows: readonly string[];
  readonly lastSeq: bigint | undefined;
  /** `undefined`: more rows. */
  readonly end: Cursor | undefined;
}

/** A page of the initial load. */
export interface PageRequest {
  readonly group: QueryGroup;
  /** `rows`: what the query answers. `resume`: what is new; the page ends before the first delete. */
  readonly kind: 'rows' | 'resume';
  /** Exclusive. */
  readonly after: bigint;
  /** Rows whose version is newer are left to catch-up. */
  readonly boundary: bigint;
  readonly rowsMax: number;
}

/**
 * Reads a page in `_seq` order, in slices with a fresh snapshot each. A row that changes between two slices moves above the
 * boundary and is left to catch-up, so the pages together hold each row at most once. Resolves to `undefined` when
 * `cancelled` says so between two slices. Throws what the filter throws, and CONVERSION_ERROR.
 */
export async function loadPage(sources: LiveSources, request: PageRequest, cancelled: () => boolean): Promise<LoadedBatch | undefined> {
  if (request.rowsMax === 0) return emptyPage(request);
  const page = new Page(request);
  const { group } = request;
  const ahead = sources.ahead(group.plan.table, group.partition);
  try {
    for (;;) {
      const reading = ahead.read(page.position);
      if (reading !== undefined) {
        await reading;
        if (cancelled()) return undefined;
      }
      const batch = page.readSlice(sources, ahead);
      if (batch !== undefined) return batch;
      await sources.turns.next();
      if (cancelled()) return undefined;
    }
  } finally {
    ahead.close();
  }
}

/** A page that may hold no rows ends at once; what a resume missed then comes as changes. */
function emptyPage({ kind, after, boundary }: PageRequest): LoadedBatch {
  const end: Cursor = kind === 'resume' ? { kind: 'scanned', seq: after } : { kind: 'complete', seq: boundary };
  return { rows: [], lastSeq: undefined, end };
}

class Page {
  readonly #request: PageRequest;
  readonly #rows: string[] = [];
  #chars = 0;
  #lastSeq: bigint | undefined;
  /** Everything at or below it was read. */
  #position: bigint;

  constructor(request: PageRequest) {
    this.#request = request;
    this.#position = request.after;
  }

  /** Everything at or below it was read. */
  get position(): bigint {
    return this.#position;
  }

  /** Reads on; `undefined` when the slice ended before the page did. */
  readSlice(sources: LiveSources, ahead: LiveAhead): LoadedBatch | undefined {
    const { group, boundary } = this.#request;
    const knownSeq = this.#position;
    let rowsLeft = sources.sliceRowsMax ?? SLICE_ROWS_MAX;
    const snapshot = sources.snapshot();
    try {
      const rows = snapshot.view(group.plan.table, group.partition, ahead).scanBySeq(this.#position);
      for (let step = rows.next(); ; step = rows.next()) {
        if (step.done === true) {
          if (step.value === undefined) break;
          if (step.value > boundary) return this.#ended(boundary);
          this.#position = step.value;
          return undefined;
        }
        const row = step.value;
        if (row.seq > boundary) return this.#ended(boundary);
        if (rowsLeft-- === 0) return undefined;
        const batch = this.#take(row, knownSeq);
        if (batch !== undefined) return batch;
        this.#position = row.seq;
      }
      this.#position = snapshot.seq;
      return this.#request.kind === 'rows' ? this.#ended(boundary) : this.#batch({ kind: 'complete', seq: snapshot.seq });
    } finally {
      snapshot.close();
    }
  }

  /** Takes a row in; a batch when the page ends before it. */
  #take(row: RowVersion, knownSeq: bigint): LoadedBatch | undefined {
    const { group, kind, rowsMax } = this.#request;
    if (group.matches(row)) {
      if (this.#rows.length >= rowsMax || this.#chars >= BATCH_CHARS_MAX) return this.#batch(undefined);
      const text = group.rowText(row);
      this.#rows.push(text);
      this.#chars += text.length;
      this.#lastSeq = row.seq;
      return undefined;
    }
    // Clients drop rows at or below their newest `_seq`, so a delete cannot be told between the rows of a batch.
    if (kind === 'resume' && row.createdSeq <= knownSeq) return this.#batch({ kind: 'scanned', seq: this.#position });
    return undefined;
  }

  #ended(boundary: bigint): LoadedBatch {
    return this.#batch(this.#request.kind === 'rows' ? { kind: 'complete', seq: boundary } : { kind: 'scanned', seq: this.#position });
  }

  #batch(end: Cursor | undefined): LoadedBatch {
    return { rows: this.#rows, lastSeq: this.#lastSeq, end };
  }
}

/** What the newest rows are wanted of. */
export interface LastRowsRequest {
  readonly group: QueryGroup;
  readonly boundary: bigint;
  readonly rowsMax: number;
}

/**
 * The newest matching rows, in `_seq` order. The index is read forwards, so it is tried from a point shortly before the
 * boundary, and from earlier points as long as too few rows are found. Cancelled and failing as {@link loadPage}.
 */
export async function loadLastRows(
  sources: LiveSources,
  request: LastRowsRequest,
  cancelled: () => boolean,
): Promise<LoadedBatch | undefined> {
  const { boundary, rowsMax, group } = request;
  const end: Cursor = { kind: 'complete', seq: boundary };
  if (rowsMax === 0) return { rows: [], lastSeq: undefined, end };
  for (let window = LAST_ROWS_WINDOW_MILLIS; ; window *= LAST_ROWS_WINDOW_GROWTH) {
    const start = boundary - (window << SEQ_MILLIS_SHIFT);
    const found = await newestAfter(sources, { ...request, after: start > 0n ? start : 0n }, cancelled);
    if (found === undefined) return undefined;
    if (found.length < rowsMax && start > 0n) continue;
    return { rows: found.map((row) => group.rowText(row)), lastSeq: found.at(-1)?.seq, end };
  }
}

async function newestAfter(
  sources: LiveSources,
  { group, boundary, rowsMax, after }: LastRowsRequest & { readonly after: bigint },
  cancelled: () => boolean,
): Promise<readonly RowVersion[] | undefined> {
  let newest: RowVersion[] = [];
  let position = after;
  const ahead = sources.ahead(group.plan.table, group.partition);
  const readSlice = (): boolean => {
    let rowsLeft = sources.sliceRowsMax ?? SLICE_ROWS_MAX;
    const snapshot = sources.snapshot();
    try {
      const rows = snapshot.view(group.plan.table, group.partition, ahead).scanBySeq(position);
      for (let step = rows.next(); ; step = rows.next()) {
        if (step.done === true) {
          position = step.value ?? position;
          return step.value === undefined || step.value > boundary;
        }
        const row = step.value;
        if (row.seq > boundary) return true;
        if (rowsLeft-- === 0) return false;
        position = row.seq;
        if (!group.matches(row)) continue;
        newest.push(row);
        if (newest.length > rowsMax * 2) newest = newest.slice(-rowsMax);
      }
    } finally {
      snapshot.close();
    }
  };
  try {
    for (;;) {
      const reading = ahead.read(position);
      if (reading !== undefined) {
        await reading;
        if (cancelled()) return undefined;
      }
      if (readSlice()) return newest.slice(-rowsMax);
      await sources.turns.next();
      if (cancelled()) return undefined;
    }
  } finally {
    ahead.close();
  }
}
