import { kalamError } from '@kalamdb/protocol';
import { VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChangeSet, RowVersion } from '../contract.ts';
import { StaleLayout } from '../partition/row-layout.ts';
import { APPLY_INTERVAL_MILLIS } from './applier.ts';
import type { Draft } from './draft.ts';
import { SeqReservation } from './seq-reservation.ts';
import { OVERLAY_WAIT_MILLIS } from './sequencer.ts';
import { EVENTS, keyOf, open, put, rowsSeen, SHARED, STREAM, settle, stored, TABLE, withHot } from './sequencer-world.fixture.ts';

describe('commit order', () => {
  it('seq rises strictly through clock jumps and restarts', async () => {
    const disk = stored();
    const time = new VirtualTime();
    let last = 0n;
    for (const jump of [0, -3_600_000, 3_600_000, -7_200_000]) {
      time.jump(jump);
      const { sequencer } = open(disk, time);
      for (let i = 0; i < 50; i++) {
        const { seq } = await sequencer.submit(put(i, 'x'));
        expect(seq > last).toBe(true);
        last = seq;
      }
      await sequencer.close();
    }
  });

  it('a turn sees the commits that took their turn before it', async () => {
    const { sequencer, log } = open(stored());
    log.hold();
    const first = sequencer.submit(put(1, 'a'));
    const seen = sequencer.submit((draft) => draft.latest(TABLE, SHARED, keyOf(1))?.cells[1]);
    expect(rowsSeen(sequencer)).toEqual([]);
    log.releaseAppends();
    await first;
    expect(await seen).toBe('a');
    expect(rowsSeen(sequencer)).toEqual([[1, 'a']]);
  });

  it('turns that arrive while a group is being written form the next group', async () => {
    const { sequencer, log } = open(stored());
    log.hold();
    const writes = [1, 2, 3, 4].map((id) => sequencer.submit(put(id, 'x')));
    await settle();
    log.releaseAppends();
    await Promise.all(writes);
    expect(log.appended.map(({ seqs }) => seqs.length)).toEqual([4]);
  });

  it('a commit that wants to be alone is written alone and synced', async () => {
    const { sequencer, log } = open(stored());
    log.hold();
    const writes = [sequencer.submit(put(1, 'a')), sequencer.submit(put(2, 'b'), { alone: true }), sequencer.submit(put(3, 'c'))];
    await settle();
    log.releaseAppends();
    await Promise.all(writes);
    expect(log.appended.map(({ seqs, durability }) => [seqs.length, durability])).toEqual([
      [1, 'relaxed'],
      [1, 'sync'],
      [1, 'relaxed'],
    ]);
  });

  it('observers hear every commit once, in order, before its reply', async () => {
    const { sequencer } = open(stored());
    const heard: bigint[] = [];
    sequencer.observe(({ seq }) => heard.push(seq));
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, id) => sequencer.submit(put(id, 'x')).then(({ seq }) => ({ seq, heardBefore: heard.includes(seq) }))),
    );
    expect(heard).toEqual(replies.map(({ seq }) => seq));
    expect(replies.every(({ heardBefore }) => heardBefore)).toBe(true);
  });

  it('a layout is read at snapshots of its own time only', async () => {
    const { sequencer } = open(stored());
    const { snapshots, rowCache } = sequencer;
    await sequencer.submit(put(1, 'a'));
    const before = snapshots.open();
    const { seq } = await sequencer.submit(put(2, 'b'));
    rowCache.layOut(TABLE.id, seq);
    const after = snapshots.open();
    const next = { ...TABLE, sinceSeq: seq };
    expect(before.view(TABLE, SHARED).get(keyOf(1))?.cells).toEqual([1, 'a']);
    expect(() => before.view(next, SHARED)).toThrow('altered since the transaction began');
    expect(() => after.view(TABLE, SHARED)).toThrow(StaleLayout);
    expect(after.view(next, SHARED).get(keyOf(2))?.cells).toEqual([2, 'b']);
    for (const snapshot of [before, after]) snapshot.close();
    await sequencer.close();
  });
});

describe('what is not durable', () => {
  it('a turn that throws leaves nothing behind', async () => {
    const { sequencer, log } = open(stored());
    const heard: ChangeSet[] = [];
    sequencer.observe((change) => heard.push(change));
    const failing = sequencer.submit((draft) => {
      put(1, 'a')(draft);
      throw kalamError('STREAM_UPDATE');
    });
    await expect(failing).rejects.toThrow('STREAM');
    expect(rowsSeen(sequencer)).toEqual([]);
    expect(log.appended).toEqual([]);
    expect(heard).toEqual([]);
  });

  it('a failed group takes back everything that saw it', async () => {
    const { sequencer, log } = open(stored());
    await sequencer.submit(put(1, 'kept'));
    const heard: bigint[] = [];
    sequencer.observe(({ seq }) => heard.push(seq));
    log.hold();
    log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space left' }));
    const first = sequencer.submit(put(2, 'lost'));
    await settle();
    const behind = sequencer.submit((draft) => put(3, String(draft.latest(TABLE, SHARED, keyOf(2))?.cells[1]))(draft));
    const outcomes = Promise.allSettled([first, behind]);
    log.releaseAppends();
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(heard).toEqual([]);
    expect(rowsSeen(sequencer)).toEqual([[1, 'kept']]);
    await sequencer.submit(put(2, 'again'));
    expect(rowsSeen(sequencer)).toEqual([
      [1, 'kept'],
      [2, 'again'],
    ]);
  });

  it('an answer that rests on a pending commit waits for it', async () => {
    const { sequencer, log } = open(stored());
    log.hold();
    log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space left' }));
    const write = sequencer.submit(put(1, 'a'));
    await settle();
    const answers = [
      sequencer.submit((draft) => draft.latest(TABLE, SHARED, keyOf(1))),
      sequencer.submit(() => {
        throw kalamError('DUPLICATE_KEY', { value: 1, column: 'id' });
      }),
    ];
    let answered = 0;
    for (const answer of answers) answer.catch(() => undefined).finally(() => answered++);
    await settle();
    expect(answered).toBe(0);
    const outcomes = Promise.allSettled([write, ...answers]);
    log.releaseAppends();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'LOG_WRITE_FAILED' } });
    }
  });
});

describe('the hot tier behind the log', () => {
  it('readers see whole commits at the watermark, as the model does', async () => {
    const operation = fc.record({
      ids: fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 4 }),
      deleted: fc.boolean(),
      next: fc.constantFrom('nothing', 'apply', 'snapshot', 'check', 'restart'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const disk = stored();
        const time = new VirtualTime();
        let world = open(disk, time);
        const model = new Map<number, { text: string; deleted: boolean }>();
        const live = (): unknown[] =>
          [...model]
            .filter(([, { deleted }]) => !deleted)
            .sort(([a], [b]) => a - b)
            .map(([id, { text }]) => [id, text]);
        let held: { close(): void; rows(): Iterable<RowVersion>; expected: unknown[] } | undefined;
        const checkHeld = (): void => {
          if (held === undefined) return;
          expect([...held.rows()].filter(({ deleted }) => !deleted).map(({ cells }) => [cells[0], cells[1]])).toEqual(held.expected);
          held.close();
          held = undefined;
        };
        for (const [step, { ids, deleted, next }] of operations.entries()) {
          const text = `v${step}`;
          await world.sequencer.submit((draft) => {
            for (const id of ids) draft.put(TABLE, SHARED, { cells: [id, text], deleted });
          });
          for (const id of ids) model.set(id, { text, deleted });
          if (next === 'apply') {
            time.advance(APPLY_INTERVAL_MILLIS);
            await world.sequencer.flush();
          } else if (next === 'snapshot' && held === undefined) {
            const snapshot = world.sequencer.snapshots.open();
            const view = snapshot.view(TABLE, SHARED);
            held = { close: () => snapshot.close(), rows: () => view.scan(), expected: live() };
          } else if (next === 'check') {
            checkHeld();
          } else if (next === 'restart') {
            checkHeld();
            await world.sequencer.close();
            world = open(disk, time);
          }
          expect(rowsSeen(world.sequencer)).toEqual(live());
        }
        checkHeld();
      }),
      { numRuns: 60 },
    );
  });

  it('scanning by seq gives the newest version of each row once, in seq order, wherever it lies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.boolean()), { maxLength: 30 }), async (writes) => {
        const { sequencer } = open(stored());
        const newest = new Map<number, bigint>();
        for (const [id, apply] of writes) {
          newest.set(id, (await sequencer.submit(put(id, 'x'))).seq);
          if (apply) await sequencer.flush();
        }
        const all = [...newest].sort((a, b) => (a[1] < b[1] ? -1 : 1));
        const middle = all[all.length >> 1]?.[1] ?? 0n;
        const found = sequencer.snapshots.read((snapshot) =>
          [...snapshot.view(TABLE, SHARED).scanBySeq(middle)].map(({ cells, seq }) => [cells[0], seq]),
        );
        expect(found).toEqual(all.filter(([, seq]) => seq > middle));
      }),
      { numRuns: 60 },
    );
  });

  it('a failing hot tier is tried again without loss', async () => {
    const disk = stored();
    const { hot } = disk;
    let failures = 2;
    const failing = withHot(hot, {
      apply: async (entries) => {
        if (failures-- > 0) throw kalamError('LOG_WRITE_FAILED', { reason: 'no space left' });
        await hot.apply(entries);
      },
    });
    const { sequencer, time, warnings } = open({ image: disk.image, hot: failing });
    await sequencer.submit(put(1, 'a'));
    for (let i = 0; i < 4; i++) {
      time.advance(1000);
      await settle();
    }
    expect(warnings).toHaveLength(2);
    expect(hot.appliedSeq).toBe(sequencer.watermark);
    expect(rowsSeen(sequencer)).toEqual([[1, 'a']]);
  });

  it('writers wait for the applier and fail after their time', async () => {
    const disk = stored();
    const { hot } = disk;
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = withHot(hot, { apply: (entries) => gate.then(() => hot.apply(entries)) });
    const { sequencer, time } = open({ image: disk.image, hot: slow });
    const large = 'x'.repeat(1024 * 1024);
    for (let id = 0; id < 32; id++) await sequencer.submit(put(id, large));
    const refused = sequencer.submit(put(100, 'late'));
    const outcome = expect(refused).rejects.toMatchObject({ code: 'WRITES_BUSY' });
    time.advance(OVERLAY_WAIT_MILLIS);
    await outcome;
    const waiting = sequencer.submit(put(101, 'in time'));
    release();
    await settle();
    await waiting;
    expect(rowsSeen(sequencer)).toHaveLength(33);
  });
});

describe('streams', () => {
  it('a stream commit writes no record and its seq is never given out again', async () => {
    const disk = stored();
    const time = new VirtualTime();
    const first = open(disk, time);
    const event = (draft: Draft) => draft.put(STREAM, EVENTS, { cells: [1, 'tick'] });
    await first.sequencer.submit(event);
    const records = first.log.appended.length;
    expect(records).toBe(1);
    let last = 0n;
    for (let i = 0; i < 20; i++) last = (await first.sequencer.submit(event)).seq;
    expect(first.log.appended).toHaveLength(records);
    await first.sequencer.close();

    time.jump(-60_000);
    const { startAt } = SeqReservation.load(disk.hot.snapshot());
    expect(startAt > last).toBe(true);
  });

  it('events expire after their time and tell their horizon', async () => {
    const { sequencer, time } = open(stored());
    const { seq } = await sequencer.submit((draft) => draft.put(STREAM, EVENTS, { cells: [1, 'tick'] }));
    const visible = (): number => sequencer.snapshots.read((snapshot) => [...snapshot.view(STREAM, EVENTS).scan()].length);
    time.advance(59_999);
    expect(visible()).toBe(1);
    time.advance(1);
    expect(visible()).toBe(0);
    sequencer.streams.evictExpired();
    expect(sequencer.streams.horizon(EVENTS)).toBe(seq);
  });
});
