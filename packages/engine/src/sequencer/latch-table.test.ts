import type { KalamError } from '@kalamdb/protocol';
import type { PartitionId } from '@kalamdb/storage';
import { VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import { LATCH_WAIT_MILLIS, LatchTable } from './latch-table.ts';

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function gate(): { promise: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

describe('latches', () => {
  it('a table is held while the work runs and free afterwards, also when it fails', async () => {
    const latches = new LatchTable();
    const work = gate();
    const held = latches.hold([1, 2], () => work.promise);
    expect([latches.isHeld(1), latches.isHeld(2), latches.isHeld(3)]).toEqual([true, true, false]);
    let freed = false;
    const waiting = latches.free([2], []).then(() => {
      freed = true;
    });
    await settle();
    expect(freed).toBe(false);
    work.open();
    await held;
    await waiting;
    expect(latches.isHeld(1)).toBe(false);
    await expect(latches.hold([1], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(latches.isHeld(1)).toBe(false);
  });

  it('holders of overlapping tables follow each other', async () => {
    const latches = new LatchTable();
    const order: string[] = [];
    const first = gate();
    const a = latches.hold([1, 2], async () => {
      order.push('a begins');
      await first.promise;
      order.push('a ends');
    });
    const b = latches.hold([2, 3], async () => {
      order.push('b');
    });
    await settle();
    expect(order).toEqual(['a begins']);
    first.open();
    await Promise.all([a, b]);
    expect(order).toEqual(['a begins', 'a ends', 'b']);
  });

  it('of many that wait for one partition only one goes on at a time, and DDL has the table to itself', async () => {
    const latches = new LatchTable();
    const mine = { tableId: 1, owner: 'me' };
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await settle();
      inside -= 1;
    };
    const both = [mine, { tableId: 2, owner: 'me' }];
    await Promise.all([
      ...Array.from({ length: 6 }, (_, n) => latches.holdPartitions(n % 2 === 0 ? both : [...both].reverse(), work)),
      latches.hold([1], work),
    ]);
    expect(most).toBe(1);
    await latches.holdPartitions([mine], async () => {
      expect([latches.isPartitionHeld(mine), latches.isPartitionHeld({ tableId: 1, owner: 'you' }), latches.isHeld(1)]).toEqual([
        true,
        false,
        false,
      ]);
    });
    await latches.hold([1], async () => expect(latches.isPartitionHeld(mine)).toBe(true));
  });

  it('whoever waits for a table goes before those who ask for its partitions later, and gives up in the end', async () => {
    const time = new VirtualTime();
    const latches = new LatchTable(time);
    const [mine, yours] = ['me', 'you'].map((owner) => ({ tableId: 1, owner })) as [PartitionId, PartitionId];
    const order: string[] = [];
    const gates = [gate(), gate()] as const;
    const large = (name: string, partition: PartitionId, until?: Promise<void>): Promise<void> =>
      latches.holdPartitions([partition], async () => {
        order.push(name);
        await until;
      });
    const first = large('first', mine, gates[0].promise);
    const table = latches.hold([1], async () => {
      order.push('table');
    });
    const second = large('second', yours);
    const elsewhere = large('elsewhere', { tableId: 2, owner: 'me' });
    await elsewhere;
    // Small commits are turns: they need not wait for one who only waits.
    expect([latches.isHeld(1), latches.isPartitionHeld(yours)]).toEqual([false, false]);
    gates[0].open();
    await Promise.all([first, table, second]);
    expect(order).toEqual(['first', 'elsewhere', 'table', 'second']);
    const held = large('held', mine, gates[1].promise);
    const late = latches.hold([1], () => Promise.resolve()).catch((error: KalamError) => error.code);
    time.advance(LATCH_WAIT_MILLIS / 2);
    const behind = large('behind', yours);
    await settle();
    time.advance(LATCH_WAIT_MILLIS / 2);
    expect(await late).toBe('WRITES_BUSY');
    await behind;
    gates[1].open();
    await held;
  });

  it('waiting for a latch ends with WRITES_BUSY', async () => {
    const time = new VirtualTime();
    const latches = new LatchTable(time);
    const mine = { tableId: 1, owner: 'me' };
    const work = gate();
    const held = latches.holdPartitions([mine], () => work.promise);
    const waiting = Promise.allSettled([latches.free([], [mine]), latches.holdPartitions([mine], () => Promise.resolve())]);
    await settle();
    time.advance(LATCH_WAIT_MILLIS);
    expect((await waiting).map((result) => result.status === 'rejected' && result.reason.code)).toEqual(['WRITES_BUSY', 'WRITES_BUSY']);
    work.open();
    await held;
    expect(latches.isPartitionHeld(mine)).toBe(false);
  });

  it('exclusive works run one after another in the order in which they asked', async () => {
    const latches = new LatchTable();
    const order: number[] = [];
    const first = gate();
    const works = [0, 1, 2].map((n) =>
      latches.exclusive(async () => {
        if (n === 0) await first.promise;
        order.push(n);
      }),
    );
    const failing = expect(latches.exclusive(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    const last = latches.exclusive(async () => {
      order.push(4);
    });
    first.open();
    await Promise.all([...works, failing, last]);
    expect(order).toEqual([0, 1, 2, 4]);
  });
});
