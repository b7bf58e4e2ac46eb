import { VirtualTime } from '@kalamdb/testing';
import { expect, it } from 'vitest';
import type { Draft } from './draft.ts';
import { EVENTS, keyOf, open, rowsSeen, SHARED, STREAM, settle, stored, TABLE } from './sequencer-world.fixture.ts';

const COMMITS = 60;
const ROWS = 10;

/** Time that passes with every look at it, so that a slice is a few steps long on every machine. */
class HastyTime extends VirtualTime {
  readonly #lookMillis: number;
  #looks = 0;

  constructor(lookMillis = 1) {
    super();
    this.#lookMillis = lookMillis;
  }

  override elapsed(): number {
    this.#looks += this.#lookMillis;
    return super.elapsed() + this.#looks;
  }
}

/** Commit number `n`: the same rows of a table, and an event of a stream. */
function write(draft: Draft, n: number): void {
  for (let id = 0; id < ROWS; id++) draft.put(TABLE, SHARED, { cells: [id, `commit ${n}`] });
  draft.put(STREAM, EVENTS, { cells: [n, 'event'] });
}

it('a long group passes the watermark commit by commit, in slices, and nobody sees half of one', async () => {
  const { sequencer, log, time } = open(stored(), new HastyTime());
  log.hold();
  const observed: bigint[] = [];
  sequencer.observe(({ seq }) => observed.push(seq));
  const replies: number[] = [];
  const commits = Array.from({ length: COMMITS }, (_, n) => sequencer.submit((draft) => write(draft, n)).then(() => replies.push(n)));
  await log.handedOver;
  log.releaseAppends();
  const seenCounts = new Set<number>();
  for (let later = 0; replies.length < COMMITS; ) {
    await settle();
    const texts = [...new Set(rowsSeen(sequencer).map(([, text]) => String(text)))];
    expect(texts.length).toBeLessThan(2);
    const seen = texts.length === 0 ? 0 : Number(texts[0]?.slice('commit '.length)) + 1;
    const events = sequencer.snapshots.read((snapshot) => [...snapshot.view(STREAM, EVENTS).scan()].length);
    expect([events, observed.length]).toEqual([seen, seen]);
    expect(replies).toEqual(Array.from({ length: replies.length }, (_, n) => n));
    expect(replies.length).toBeLessThanOrEqual(seen);
    if (!seenCounts.has(seen) && seen > 0 && seen < COMMITS && later < 3) {
      later += 1;
      // Whoever takes its turn in between sees what is still on its way, and is seen behind it.
      const newest = sequencer.submit((draft) => draft.latest(TABLE, SHARED, keyOf(0))?.cells[1]);
      commits.push(newest.then((cell) => expect([cell, replies.length]).toEqual([`commit ${COMMITS - 1}`, COMMITS])).then(() => 0));
    }
    seenCounts.add(seen);
    time.advance(0);
  }
  await Promise.all(commits);
  // Not in one turn, whatever this machine is like.
  expect(seenCounts.size).toBeGreaterThan(5);
  expect(observed).toEqual([...observed].sort((a, b) => (a < b ? -1 : 1)));
  await sequencer.close();
});

it.each(['flush', 'settle'] as const)(
  'what was answered is in the hot tier after %s, however long its group takes to pass',
  async (wait) => {
    // Every slice is one step long: the answer comes well before the end of the group.
    const { sequencer, hot, time } = open(stored(), new HastyTime(1000));
    let applied: bigint | undefined;
    const done = sequencer
      .submit((draft) => {
        for (let id = 0; id < COMMITS * ROWS; id++) draft.put(TABLE, SHARED, { cells: [id, 'a row of a long commit'] });
      })
      .then(() => sequencer[wait]())
      .then(() => {
        applied = hot.appliedSeq;
      });
    while (applied === undefined) {
      await settle();
      time.advance(1);
    }
    await done;
    expect(applied).toBe(sequencer.watermark);
    await sequencer.close();
  },
);
