import { encodeSegment, type RowKey, type Segment } from '@kalamdb/storage';
import { STEP_ROWS, type Steps } from '../slices/steps.ts';

/** Keys that the turn of a publication looks up itself; with more it is put off until they were looked up in slices. */
export const TURN_KEYS_MAX = 1000;

/** Tells a manifest that is going to be published of keys that have got newer versions, in short steps. */
export function* maskSteps(next: { mask(key: RowKey): void }, keys: ReadonlySet<RowKey>): Steps<void> {
  let left = STEP_ROWS;
  for (const key of keys) {
    next.mask(key);
    if (--left > 0) continue;
    left = STEP_ROWS;
    yield;
  }
}

/** Encodes segments, in short steps, so that the turn that publishes them among others finds their texts. */
export function* encodeSteps(segments: readonly Segment[]): Steps<void> {
  for (const segment of segments) {
    encodeSegment(segment);
    yield;
  }
}
