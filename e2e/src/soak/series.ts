/** What was measured at one time; `undefined` where it could not be. */
export interface Point {
  /** Milliseconds since the beginning. */
  readonly at: number;
  readonly value: number;
}

/** What is allowed of a quantity. */
export interface Allowance {
  /** Growth in an hour, as a share of its median. */
  readonly sharePerHour: number;
  /** Growth in an hour that means nothing however small the median is. */
  readonly least: number;
}

/** Whether a quantity stayed what it was. */
export interface Flatness {
  readonly median: number;
  readonly perHour: number;
  /** From -1 (it always falls) to 1 (it always rises). */
  readonly trend: number;
  readonly flat: boolean;
}

const HOUR_MILLIS = 3_600_000;
/** Below it a slope is noise: of all pairs of points fewer than two thirds rise. */
const TREND_MIN = 1 / 3;

/** The middle of the values; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** A quantile of the values, by rank; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The least point of each stretch of so many. */
export function floors(points: readonly Point[], width: number): readonly Point[] {
  const found: Point[] = [];
  for (let from = 0; from + width <= points.length; from += width) {
    found.push(points.slice(from, from + width).reduce((least, point) => (point.value < least.value ? point : least)));
  }
  return found;
}

/**
 * Judges a series by the median of the slopes between any two of its points (Theil and Sen), which single outliers do not move, and by how
 * many of these rise (Kendall). It is not flat when it rises by more than is allowed and does so steadily; falling is always allowed.
 */
export function flatness(points: readonly Point[], { sharePerHour, least }: Allowance): Flatness {
  const slopes: number[] = [];
  let balance = 0;
  for (const [index, from] of points.entries()) {
    for (const to of points.slice(index + 1)) {
      slopes.push(((to.value - from.value) / (to.at - from.at)) * HOUR_MILLIS);
      balance += Math.sign(to.value - from.value);
    }
  }
  const middle = median(points.map(({ value }) => value));
  const perHour = median(slopes);
  const trend = slopes.length === 0 ? 0 : balance / slopes.length;
  return { median: middle, perHour, trend, flat: perHour <= Math.max(least, middle * sharePerHour) || trend < TREND_MIN };
}
