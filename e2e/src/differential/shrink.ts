import { type GeneratedQuery, smallerQueries } from './query.ts';

/** Smaller queries that are tried for one difference. */
const SHRINKS_MAX = 400;

/** A query and what is wrong with its answer. */
export interface Finding {
  readonly query: GeneratedQuery;
  /** The kind of difference, a colon, and the particulars. */
  readonly what: string;
}

/** The smallest query that can be found with the same kind of difference. */
export async function shrink(found: Finding, compare: (query: GeneratedQuery) => Promise<string | undefined>): Promise<Finding> {
  let least = found;
  let tried = 0;
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false;
    for (const query of smallerQueries(least.query)) {
      if (++tried > SHRINKS_MAX) return least;
      const what = await compare(query);
      if (what === undefined || differenceKind(what) !== differenceKind(found.what)) continue;
      least = { query, what };
      isSmaller = true;
      break;
    }
  }
  return least;
}

/** The kind of difference that a description begins with. */
export function differenceKind(what: string): string {
  return what.split(':')[0] ?? '';
}
