import type { RowKey } from '@kalamdb/storage';
import type { Steps } from '../slices/steps.ts';

/** Keys that one step compares. */
const STEP_KEYS = 512;

/** Place of the first item whose key is at or above `key`, in items that ascend by key; their number when there is none. */
export function firstAtOrAbove<T>(items: readonly T[], key: RowKey, keyOf: (item: T) => RowKey): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && keyOf(item) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Two ascending lists as one, in short steps; a key that stands in both stands once in it. */
export function* mergeKeys(a: readonly RowKey[], b: readonly RowKey[]): Steps<readonly RowKey[]> {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  if ((a.at(-1) ?? '') < (b[0] ?? '')) return a.concat(b);
  const merged: RowKey[] = [];
  let left = 0;
  let right = 0;
  while (left < a.length || right < b.length) {
    const fromA = a[left];
    const fromB = b[right];
    if (fromB === undefined || (fromA !== undefined && fromA <= fromB)) {
      if (fromA !== undefined) merged.push(fromA);
      left += 1;
      if (fromA === fromB) right += 1;
    } else {
      merged.push(fromB);
      right += 1;
    }
    if (merged.length % STEP_KEYS === 0) yield;
  }
  return merged;
}

/** The keys in ascending order, each once, in short steps; quick when they stand in long ascending runs, as those of a scan do. */
export function* sortKeys(keys: readonly RowKey[]): Steps<readonly RowKey[]> {
  let runs = yield* ascendingRuns(keys);
  while (runs.length > 1) {
    const longer: (readonly RowKey[])[] = [];
    for (let at = 0; at < runs.length; at += 2) longer.push(yield* mergeKeys(runs[at] ?? [], runs[at + 1] ?? []));
    runs = longer;
  }
  return runs[0] ?? [];
}

function* ascendingRuns(keys: readonly RowKey[]): Steps<readonly (readonly RowKey[])[]> {
  const runs: RowKey[][] = [];
  for (let from = 0; from < keys.length; from += STEP_KEYS) {
    const sorted = keys.slice(from, from + STEP_KEYS).sort((a, b) => (a < b ? -1 : 1));
    const piece = sorted.filter((key, at) => key !== sorted[at - 1]);
    const last = runs.at(-1);
    const end = last?.at(-1);
    if (last !== undefined && end !== undefined && end < (piece[0] ?? '')) for (const key of piece) last.push(key);
    else runs.push(piece);
    yield;
  }
  return runs;
}

/** A list in order, in short steps; equal items keep their order. Quick when it stands in long runs already. `inOrder`: `a` may stand before `b`. */
export function* sortInSteps<T>(items: readonly T[], inOrder: (a: T, b: T) => boolean): Steps<readonly T[]> {
  let runs: (readonly T[])[] = [];
  for (let from = 0; from < items.length; from += STEP_KEYS) {
    runs.push(items.slice(from, from + STEP_KEYS).sort((a, b) => (inOrder(a, b) ? (inOrder(b, a) ? 0 : -1) : 1)));
    yield;
  }
  while (runs.length > 1) {
    const longer: (readonly T[])[] = [];
    for (let at = 0; at < runs.length; at += 2) longer.push(yield* merged(runs[at] ?? [], runs[at + 1] ?? [], inOrder));
    runs = longer;
  }
  return runs[0] ?? [];
}

function* merged<T>(a: readonly T[], b: readonly T[], inOrder: (a: T, b: T) => boolean): Steps<readonly T[]> {
  const [last, first] = [a.at(-1), b[0]];
  if (first === undefined || (last !== undefined && inOrder(last, first))) return a.concat(b);
  const both: T[] = [];
  let right = 0;
  for (const left of a) {
    for (let next = b[right]; next !== undefined && !inOrder(left, next); next = b[++right]) {
      if (both.push(next) % STEP_KEYS === 0) yield;
    }
    if (both.push(left) % STEP_KEYS === 0) yield;
  }
  for (; right < b.length; right++) {
    const next = b[right];
    if (next !== undefined && both.push(next) % STEP_KEYS === 0) yield;
  }
  return both;
}
