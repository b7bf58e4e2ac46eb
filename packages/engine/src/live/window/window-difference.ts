import type { PlacedRow, WindowOrder } from './window-order.ts';

/** One step from a window to a later one. An index is the place that the row has when the steps up to this one were made. */
export type WindowStep =
  | { readonly kind: 'delete'; readonly row: PlacedRow }
  | { readonly kind: 'insert'; readonly row: PlacedRow; readonly index: number }
  | { readonly kind: 'update'; readonly row: PlacedRow; readonly previous: PlacedRow; readonly index: number };

/**
 * The steps from one state of a window to another: deletes first, so that it never holds more rows than both, then the others from the first
 * place to the last. Rows that are the same object cost one comparison of references; only those that differ are compared by their places.
 */
export function windowDifference(before: readonly PlacedRow[], after: readonly PlacedRow[], order: WindowOrder): readonly WindowStep[] {
  const gone = new Map<string, PlacedRow>();
  const come: { readonly row: PlacedRow; readonly index: number }[] = [];
  for (let i = 0, j = 0; i < before.length || j < after.length; ) {
    const [old, now] = [before[i], after[j]];
    if (old !== undefined && old === now) {
      i += 1;
      j += 1;
      continue;
    }
    const between = old === undefined ? 1 : now === undefined ? -1 : order.compare(old, now);
    const isSame = between === 0 && old?.row.seq === now?.row.seq;
    if (old !== undefined && between <= 0) {
      if (!isSame) gone.set(old.row.key, old);
      i += 1;
    }
    if (now !== undefined && between >= 0) {
      if (!isSame) come.push({ row: now, index: j });
      j += 1;
    }
  }
  return steps(before, after, { gone, come });
}

interface Movement {
  /** Rows that are not where they were, by key. */
  readonly gone: Map<string, PlacedRow>;
  /** Rows that were not where they are, with the places they come to, in order. */
  readonly come: readonly { readonly row: PlacedRow; readonly index: number }[];
}

function steps(before: readonly PlacedRow[], after: readonly PlacedRow[], { gone, come }: Movement): readonly WindowStep[] {
  const arriving = new Set(come.map(({ row }) => row.row.key));
  const leaving = [...gone.values()].filter(({ row }) => !arriving.has(row.key));
  const made: WindowStep[] = leaving.map((row) => ({ kind: 'delete', row }));
  // Where a row stands in the end is where it stands at once, unless rows that have still to move are in between.
  const isPlain = come.length === 1 || gone.size === leaving.length;
  const shown = !isPlain ? before.filter(({ row }) => !gone.has(row.key) || arriving.has(row.key)).map(({ row }) => row.key) : undefined;
  for (const { row, index: last } of come) {
    const previous = gone.get(row.row.key);
    const index =
      shown === undefined ? last : moved(shown, row.row.key, { isShown: previous !== undefined, behind: after[last - 1]?.row.key });
    made.push(previous === undefined ? { kind: 'insert', row, index } : { kind: 'update', row, previous, index });
  }
  return made;
}

/** Puts a key behind another one, or first, and answers where it is then. */
function moved(
  keys: string[],
  key: string,
  { isShown, behind }: { readonly isShown: boolean; readonly behind: string | undefined },
): number {
  if (isShown) keys.splice(keys.indexOf(key), 1);
  const index = behind === undefined ? 0 : keys.indexOf(behind) + 1;
  keys.splice(index, 0, key);
  return index;
}
