import { kalamError } from '@kalamdb/protocol';
import type { LogEntry } from '@kalamdb/storage';
import { VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import type { ChangeSet } from '../contract.ts';
import { COMMIT_ROWS_MAX, type Draft, ROW_BYTES_MAX } from './draft.ts';
import { OVERLAY_BYTES_MAX } from './sequencer.ts';
import { EVENTS, keyOf, open, put, rowsSeen, SHARED, STREAM, settle, stored, TABLE, withHot } from './sequencer-world.fixture.ts';

const event =
  (id: number, text = 'tick') =>
  (draft: Draft) =>
    draft.put(STREAM, EVENTS, { cells: [id, text] });

/** A promise and what settles it. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('applying', () => {
  it('one batch at a time, and a flush waits for the batch that is on its way', async () => {
    const disk = stored();
    const door = gate();
    let running = 0;
    let overlapped = false;
    const slow = async (entries: readonly LogEntry[]): Promise<void> => {
      overlapped ||= running > 0;
      running += 1;
      await door.opened;
      await disk.hot.apply(entries);
      running -= 1;
    };
    const { sequencer, time } = open({ image: disk.image, hot: withHot(disk.hot, { apply: slow }) });
    await sequencer.submit(put(1, 'a'));
    const first = sequencer.flush();
    await settle();
    const second = sequencer.flush();
    await sequencer.submit(put(2, 'b'));
    time.advance(1000);
    let flushed = 0;
    for (const flush of [first, second]) void flush.then(() => flushed++);
    await settle();
    expect(flushed).toBe(0);
    door.open();
    await Promise.all([first, second]);
    await sequencer.close();
    expect(overlapped).toBe(false);
    expect(disk.hot.appliedSeq).toBe(sequencer.watermark);
  });

  it('a flush ends although commits keep coming', async () => {
    const disk = stored();
    let id = 1;
    const { sequencer } = open({
      image: disk.image,
      hot: withHot(disk.hot, {
        apply: async (entries) => {
          if (id < 200) await sequencer.submit(put(id++, 'more'));
          await disk.hot.apply(entries);
        },
      }),
    });
    await sequencer.submit(put(0, 'first'));
    const target = sequencer.watermark;
    await sequencer.flush();
    expect(disk.hot.appliedSeq >= target).toBe(true);
    expect(id).toBeLessThan(10);
    await sequencer.close();
  });

  it('a flush that fails leaves the retry running', async () => {
    const disk = stored();
    let failures = 1;
    const { sequencer, time } = open({
      image: disk.image,
      hot: withHot(disk.hot, {
        apply: async (entries) => {
          if (failures-- > 0) throw new Error('no space left');
          await disk.hot.apply(entries);
        },
      }),
    });
    await sequencer.submit(put(1, 'a'));
    await expect(sequencer.flush()).rejects.toThrow('refused a batch');
    time.advance(1000);
    await settle();
    expect(disk.hot.appliedSeq).toBe(sequencer.watermark);
  });
});

describe('closing', () => {
  it('refuses what comes after it, writers that wait for space included', async () => {
    const disk = stored();
    const door = gate();
    const slow = (entries: readonly LogEntry[]): Promise<void> => door.opened.then(() => disk.hot.apply(entries));
    const { sequencer } = open({ image: disk.image, hot: withHot(disk.hot, { apply: slow }) });
    const large = 'x'.repeat(1024 * 1024);
    for (let id = 0; id < 32; id++) await sequencer.submit(put(id, large));
    const waiting = sequencer.submit(put(100, 'late'));
    const refused = expect(waiting).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    const closed = sequencer.close();
    await expect(sequencer.submit(put(101, 'later'))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    expect(() => sequencer.snapshots.open()).toThrow('shutting down');
    await refused;
    door.open();
    await closed;
    expect(disk.hot.appliedSeq).toBe(sequencer.watermark);
  });

  it('drains pending commits, also when they fail', async () => {
    const disk = stored();
    const { sequencer, log } = open(disk);
    await sequencer.submit(put(1, 'kept'));
    log.hold();
    log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space left' }));
    const outcome = expect(sequencer.submit(put(2, 'lost'))).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' });
    await settle();
    const closed = sequencer.close();
    log.releaseAppends();
    await outcome;
    await closed;
    expect(disk.hot.appliedSeq).toBe(sequencer.watermark);
  });
});

describe('bounds', () => {
  it('writers that wait for space do not pass the bound together', async () => {
    const disk = stored();
    let door = gate();
    const slow = async (entries: readonly LogEntry[]): Promise<void> => {
      await door.opened;
      await disk.hot.apply(entries);
    };
    const { sequencer, time } = open({ image: disk.image, hot: withHot(disk.hot, { apply: slow }) });
    const large = 'x'.repeat(ROW_BYTES_MAX - 100);
    let pendingBytes = 0;
    let peak = 0;
    sequencer.observe((change) => {
      pendingBytes += change.bytes;
      peak = Math.max(peak, pendingBytes);
    });
    for (let id = 0; id < 8; id++) await sequencer.submit(put(id, large));
    const waiting = Array.from({ length: 20 }, (_, id) => sequencer.submit(put(100 + id, large)));
    const outcomes = Promise.allSettled(waiting);
    await settle();
    // One batch of 4 MiB and a little goes through: room for two more at most.
    const open1 = door.open;
    door = gate();
    pendingBytes -= 2 * (ROW_BYTES_MAX - 100);
    open1();
    await settle();
    expect(peak).toBeLessThanOrEqual(OVERLAY_BYTES_MAX + ROW_BYTES_MAX + 1000);
    time.advance(1000);
    door.open();
    await settle();
    time.advance(1000);
    await outcomes;
    await sequencer.close();
  });

  it('a commit of as many bytes as a log record can hold is written, a larger one refused alone', async () => {
    const { sequencer } = open(stored());
    const rows = (count: number, bytes: number) => (draft: Draft) => {
      for (let id = 0; id < count; id++) draft.put(TABLE, SHARED, { cells: [id, 'x'.repeat(bytes)] });
    };
    const small = sequencer.submit(put(1000, 'small'));
    const large = sequencer.submit(rows(8, ROW_BYTES_MAX - 20));
    const refused = expect(large).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' });
    await Promise.all([small, refused]);
    expect(rowsSeen(sequencer)).toHaveLength(1);
    await sequencer.submit(rows(8, ROW_BYTES_MAX - 1000));
    expect(rowsSeen(sequencer)).toHaveLength(9);
  });

  it('a commit of too many rows is refused and leaves nothing behind', async () => {
    const { sequencer, log } = open(stored());
    const heard: ChangeSet[] = [];
    sequencer.observe((change) => heard.push(change));
    const rows = (count: number) => (draft: Draft) => {
      for (let id = 0; id < count; id++) put(id, '')(draft);
    };
    await expect(sequencer.submit(rows(COMMIT_ROWS_MAX + 1))).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' });
    expect([heard, log.appended, rowsSeen(sequencer)]).toEqual([[], [], []]);
    await sequencer.submit(rows(COMMIT_ROWS_MAX));
    expect(rowsSeen(sequencer)).toHaveLength(COMMIT_ROWS_MAX);
  });

  it('the reservation of a stream commit does not count', async () => {
    const { sequencer } = open(stored());
    await sequencer.submit((draft) => {
      for (let id = 0; id < COMMIT_ROWS_MAX; id++) event(id, '')(draft);
    });
    expect(sequencer.snapshots.read((snapshot) => [...snapshot.view(STREAM, EVENTS).scan()])).toHaveLength(COMMIT_ROWS_MAX);
  });

  it('a change keeps the version it replaced, not the history of the row', async () => {
    const { sequencer, log } = open(stored());
    log.hold();
    const writes = [1, 2, 3].map((step) => sequencer.submit(put(1, `v${step}`)));
    const twice = sequencer.submit((draft) => {
      put(1, 'v4')(draft);
      return put(1, 'v5')(draft);
    });
    log.releaseAppends();
    const changes = [...(await Promise.all(writes)), await twice];
    expect(changes.map(({ previous }) => previous?.cells[1])).toEqual([undefined, 'v1', 'v2', 'v4']);
    for (const { previous } of changes) expect(previous ?? {}).not.toHaveProperty('previous');
  });
});

describe('an outcome that nobody knows', () => {
  it('ends writing: what comes later could stand in the log before what is not known', async () => {
    const { sequencer, log } = open(stored());
    await sequencer.submit(put(1, 'a'));
    log.failNext(new Error('the machine did something new'));
    expect(sequencer.broken).toBeUndefined();
    await expect(sequencer.submit(put(2, 'b'))).rejects.toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' });
    expect(sequencer.broken).toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' });
    await expect(sequencer.submit(put(3, 'c'))).rejects.toMatchObject({ code: 'COMMIT_OUTCOME_UNKNOWN' });
    expect(rowsSeen(sequencer)).toEqual([[1, 'a']]);
    await expect(sequencer.submit((draft) => draft.latest(TABLE, SHARED, keyOf(2)))).resolves.toBeUndefined();
    await sequencer.close();
  });
});

describe('streams', () => {
  it('a deleted event is gone for writers, also when the commit that made it wrote a record', async () => {
    const { sequencer } = open(stored());
    const newest = () => sequencer.submit((draft) => draft.latest(STREAM, EVENTS, keyOf(1)));
    await sequencer.submit(event(1));
    expect(await newest()).toMatchObject({ deleted: false });
    await sequencer.submit((draft) => draft.put(STREAM, EVENTS, { cells: [1, 'tick'], deleted: true }));
    expect(await newest()).toBeUndefined();
  });

  it('an expired event is gone for writers, also when the commit that made it is not applied', async () => {
    const disk = stored();
    const { sequencer, time } = open({ image: disk.image, hot: withHot(disk.hot, { apply: () => new Promise(() => undefined) }) });
    await sequencer.submit(event(1));
    time.advance(60_000);
    expect(await sequencer.submit((draft) => draft.latest(STREAM, EVENTS, keyOf(1)))).toBeUndefined();
  });

  it('a group that fails takes its reservation back', async () => {
    const { sequencer, log } = open(stored());
    log.failNext(kalamError('LOG_WRITE_FAILED', { reason: 'no space left' }));
    await expect(sequencer.submit(event(1))).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' });
    expect(log.appended).toHaveLength(0);
    await sequencer.submit(event(1));
    expect(log.appended).toHaveLength(1);
  });

  it('a reader of before a restart is told that it may have missed events', async () => {
    const disk = stored();
    const time = new VirtualTime();
    const first = open(disk, time);
    const seen = (await first.sequencer.submit(event(1))).seq;
    time.advance(5);
    const newest = (await first.sequencer.submit(event(1))).seq;
    await first.sequencer.submit(event(2));
    await first.sequencer.close();
    time.advance(60_000);

    const { sequencer } = open(disk, time);
    const start = sequencer.watermark;
    await sequencer.submit(event(3));
    for (const cursor of [seen, newest]) {
      expect(sequencer.tail(cursor)).toBeUndefined();
      expect(cursor < sequencer.streams.horizon(EVENTS)).toBe(true);
    }
    expect(sequencer.tail(start)).toHaveLength(1);
    expect(start >= sequencer.streams.horizon(EVENTS)).toBe(true);
  });
});

describe('a snapshot that nobody closes', () => {
  it('does not stop writers: it becomes too old', async () => {
    const { sequencer, time } = open(stored());
    await sequencer.submit(put(0, 'kept'));
    await sequencer.flush();
    const old = sequencer.snapshots.open();
    const view = old.view(TABLE, SHARED);
    await sequencer.submit(put(1, 'after it'));
    await sequencer.flush();
    const young = sequencer.snapshots.open();
    expect([...view.scan()]).toHaveLength(1);
    const large = 'x'.repeat(1024 * 1024);
    for (let id = 100; id < 132; id++) await sequencer.submit(put(id, large));
    await sequencer.flush();
    const waiting = sequencer.submit(put(200, 'waits'));
    await settle();
    time.advance(1000);
    await waiting;
    for (const read of [() => view.get(keyOf(0)), () => [...view.scan()], () => [...view.scanBySeq(0n)], () => old.view(TABLE, SHARED)]) {
      expect(read).toThrow('too old');
    }
    expect(() => young.view(TABLE, SHARED)).toThrow('too old');
    old.close();
    young.close();
    expect(rowsSeen(sequencer)).toHaveLength(35);
  });
});
