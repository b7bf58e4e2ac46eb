import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { VirtualTime } from '@kalamdb/testing';
import { describe, expect, test } from 'vitest';
import { AnswerStreams } from './answer-streams.ts';
import type { EnvelopePieces } from './sql-envelope.ts';

/** Time in which making a piece takes a millisecond, and turns that a test ends. */
class Turns {
  readonly time = new VirtualTime();
  readonly streams = new AnswerStreams({ clock: this.time, timers: this });
  readonly after = this.time.after.bind(this.time);
  readonly every = this.time.every.bind(this.time);
  made = 0;
  ended = 0;
  #next: (() => void) | undefined;

  soon(callback: () => void): void {
    this.#next = callback;
  }

  /** Runs the next turn, if there is one; gives the pieces made in it. */
  turn(): number {
    const before = this.made;
    const next = this.#next;
    this.#next = undefined;
    next?.();
    return this.made - before;
  }

  open(pieces: number, size = 100): Readable {
    return this.streams.open({ first: 'x'.repeat(size), rest: this.#pieces(pieces, size) as EnvelopePieces['rest'] });
  }

  *#pieces(count: number, size: number): Generator<string, string, void> {
    try {
      for (let i = 0; i < count; i++) {
        this.made += 1;
        this.time.advance(1);
        yield 'y'.repeat(size);
      }
      return 'z';
    } finally {
      this.ended += 1;
    }
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}

describe('answers in pieces', () => {
  test('are made for two milliseconds in a turn, however many there are, and end whole', async () => {
    const scene = new Turns();
    const texts = Array.from({ length: 10 }, () => '');
    const streams = texts.map((_, i) => scene.open(20).on('data', (chunk: Buffer) => (texts[i] += chunk.toString())));
    let left = streams.length;
    for (const stream of streams) stream.once('end', () => (left -= 1));
    while (left > 0) {
      await settle();
      expect(scene.turn()).toBeLessThanOrEqual(2);
    }
    for (const text of texts) expect(text).toBe(`${'x'.repeat(100)}${'y'.repeat(2000)}z`);
    await settle();
    expect([scene.streams.count, scene.ended, scene.time.pendingTimers]).toEqual([0, 10, 0]);
  });

  test('wait for a reader that does not read', async () => {
    const scene = new Turns();
    const stream = scene.open(1000, 10_000);
    stream.once('readable', () => {});
    for (let i = 0; i < 100; i++) {
      await settle();
      scene.turn();
    }
    expect(scene.made).toBeLessThan(20);
    stream.destroy();
  });

  test('are given up when the reader is gone, or has stalled for half a minute', async () => {
    const scene = new Turns();
    const gone = scene.open(1000, 10_000);
    gone.once('readable', () => {});
    await settle();
    scene.turn();
    gone.destroy();
    await once(gone, 'close');
    const stalled = scene.open(1000, 10_000).on('error', () => {});
    stalled.once('readable', () => {});
    for (let i = 0; i < 50; i++) {
      await settle();
      scene.turn();
    }
    scene.time.advance(29_000);
    expect(stalled.destroyed).toBe(false);
    const closed = new Promise((resolve) => stalled.once('close', resolve));
    scene.time.advance(3000);
    await closed;
    expect([scene.streams.count, scene.time.pendingTimers]).toEqual([0, 0]);
    expect(scene.ended).toBeGreaterThan(0);
  });

  test('wait for rows that are not made yet, which is no stalling of the reader', async () => {
    const scene = new Turns();
    const made: (() => void)[] = [];
    const waiting = (): Promise<void> => new Promise((resolve) => made.push(resolve));
    const rest = (function* (): Generator<string | Promise<void>, string, void> {
      yield waiting();
      yield 'y';
      yield waiting();
      return 'z';
    })();
    const stream = scene.streams.open({ first: 'x', rest });
    let text = '';
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const turns = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        await settle();
        scene.turn();
      }
    };
    await turns();
    scene.time.advance(100_000);
    expect([text, made.length, stream.destroyed]).toEqual(['x', 1, false]);
    made[0]?.();
    await turns();
    scene.time.advance(100_000);
    expect([text, made.length, stream.destroyed]).toEqual(['xy', 2, false]);
    made[1]?.();
    await turns();
    expect([text, scene.streams.count]).toEqual(['xyz', 0]);
  });

  test('whose rows cannot be made break off, and it is told why', async () => {
    const scene = new Turns();
    const rest = (function* (): Generator<string | Promise<void>, string, void> {
      yield Promise.reject(new Error('divided by zero'));
      return 'z';
    })();
    const cuts: string[] = [];
    const stream = scene.streams.open({ first: 'x', rest }, (error) => cuts.push(error.message));
    const failed = once(stream, 'error');
    stream.resume();
    for (let i = 0; i < 5; i++) {
      await settle();
      scene.turn();
    }
    expect(String(await failed)).toContain('divided by zero');
    expect([cuts, stream.readableEnded]).toEqual([['divided by zero'], false]);
  });

  test('that cannot be made to their end break off', async () => {
    const scene = new Turns();
    const rest = (function* (): Generator<string, string, void> {
      yield 'y';
      throw new Error('a cell that cannot be written');
    })();
    const stream = scene.streams.open({ first: 'x', rest });
    const failed = once(stream, 'error');
    stream.resume();
    for (let i = 0; i < 5; i++) {
      await settle();
      scene.turn();
    }
    expect(String(await failed)).toContain('a cell that cannot be written');
  });
});
