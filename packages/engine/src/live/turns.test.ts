import { VirtualTime } from '@kalamdb/testing';
import { expect, it } from 'vitest';
import { Turns } from './turns.ts';

it('each slice has a turn of its own, in the order in which they were asked for, and whoever asks again waits for the next round', async () => {
  const soon: (() => void)[] = [];
  const time = Object.assign(new VirtualTime(), { soon: (callback: () => void) => void soon.push(callback) });
  const turns = new Turns(time);
  const slices: string[] = [];
  const work = async (name: string): Promise<void> => {
    for (let slice = 1; slice <= 2; slice++) {
      await turns.next();
      slices.push(`${name}${slice}`);
    }
  };
  const all = Promise.all(['a', 'b', 'c'].map(work));
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 20; turn++) {
    const before = slices.length;
    const callback = soon.shift();
    if (callback === undefined) time.advance(0);
    else callback();
    await settled();
    expect(slices.length - before).toBeLessThanOrEqual(1);
  }
  await all;
  expect(slices).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'c2']);
  expect(time.pendingTimers).toBe(0);
});
