import { VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import type { ChangeSet } from '../contract.ts';
import { COMMIT_WAIT_MILLIS_MAX, CommitWait } from './commit-wait.ts';

function world() {
  const time = new VirtualTime();
  const observers = new Set<(change: ChangeSet) => void>();
  const sequencer = {
    watermark: 10n,
    issuedSeq: 30n,
    observe: (listener: (change: ChangeSet) => void) => {
      observers.add(listener);
      return () => observers.delete(listener);
    },
  };
  const wait = new CommitWait({ sequencer, gaps: { contains: (seq) => seq === 5n }, timers: time });
  const publish = (seq: bigint): void => {
    sequencer.watermark = seq;
    for (const observer of observers) observer({ seq, parts: [], bytes: 0 });
  };
  return { time, wait, publish, observers };
}

describe('waiting for a commit', () => {
  it('is not needed when readers see it', () => {
    expect(world().wait.reached(10n)).toBeUndefined();
  });

  it('ends when the watermark has come to it, and leaves nothing behind', async () => {
    const { wait, publish, observers } = world();
    const reached = wait.reached(20n);
    publish(15n);
    expect(observers.size).toBe(1);
    publish(25n);
    await reached;
    expect(observers.size).toBe(0);
  });

  it('is given up after some seconds', async () => {
    const { wait, time, observers } = world();
    const reached = wait.reached(20n);
    time.advance(COMMIT_WAIT_MILLIS_MAX);
    await expect(reached).rejects.toMatchObject({ code: 'COMMIT_NOT_REACHED' });
    expect(observers.size).toBe(0);
  });

  it('is refused for a commit that was lost or that there cannot be yet', () => {
    const { wait } = world();
    for (const seq of [5n, 31n]) expect(() => wait.reached(seq)).toThrow(expect.objectContaining({ code: 'COMMIT_UNKNOWN' }));
  });
});
