import { expect, it } from 'vitest';
import { SEQ_GAPS_MAX, SeqGaps } from './seq-gaps.ts';
import { open, put, stored } from './sequencer-world.fixture.ts';

it('every opening leaves a gap between what it found and where it goes on; old ones are folded into one', async () => {
  const { sequencer, hot } = open(stored());
  const openings = SEQ_GAPS_MAX + 5;
  const ends: bigint[] = [];
  const begins: bigint[] = [];
  const load = (): SeqGaps => {
    const snapshot = hot.snapshot();
    const gaps = SeqGaps.load(snapshot);
    snapshot.close();
    return gaps;
  };
  const gaps = load();
  for (let opening = 0; opening < openings; opening++) {
    await sequencer.submit(put(opening, 'x'));
    await sequencer.submit(put(opening, 'lost'));
    await sequencer.submit(put(opening, 'lost'));
    const end = sequencer.watermark - 2n;
    const gap = await sequencer.submit((draft) => gaps.add(draft, end));
    gaps.added(gap);
    ends.push(end);
    begins.push(gap.begin);
  }
  await sequencer.flush();
  for (const known of [gaps, load()]) {
    for (const [index, end] of ends.entries()) {
      expect(known.contains(end + 1n)).toBe(true);
      expect(known.contains(end)).toBe(index > 0 && index < openings - SEQ_GAPS_MAX);
      expect(known.contains(begins[index] ?? 0n)).toBe(index < openings - SEQ_GAPS_MAX - 1);
    }
  }
  await sequencer.close();
});
