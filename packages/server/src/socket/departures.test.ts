import { Duplex } from 'node:stream';
import { systemClock, systemTimers } from '@kalamdb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Departing, Departures } from './departures.ts';

/** A socket that takes a chunk in at once, or keeps it for some turns of the event loop and looks at it only then. */
class SlowSocket extends Duplex {
  readonly taken: Buffer[] = [];
  writes = 0;
  readonly #turns: () => number;

  constructor(turns: () => number) {
    super();
    this.#turns = turns;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.writes += 1;
    const take = (turns: number): void => {
      if (turns > 0) {
        systemTimers.soon(() => take(turns - 1));
        return;
      }
      this.taken.push(Buffer.from(chunk));
      callback();
    };
    take(this.#turns());
  }
}

/** Frames for one socket. */
class Box implements Departing {
  readonly #departures: Departures;
  readonly socket: SlowSocket;
  readonly #frames: Buffer[] = [];

  constructor(departures: Departures, socket: SlowSocket) {
    this.#departures = departures;
    this.socket = socket;
  }

  put(frame: Buffer): void {
    if (this.#frames.push(frame) === 1) this.#departures.enter(this);
  }

  flush(): void {
    this.#departures.write(this.socket, this.#frames.splice(0), () => undefined);
  }
}

const frame = fc.record({ box: fc.nat({ max: 4 }), size: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 40_000 })), wait: fc.boolean() });

test('every socket gets its frames whole and in order, however slowly others take theirs', async () => {
  const runs = fc.asyncProperty(fc.array(frame, { maxLength: 60 }), fc.infiniteStream(fc.nat({ max: 3 })), async (frames, turns) => {
    const departures = new Departures({ clock: systemClock, timers: systemTimers });
    const next = (): number => Number(turns.next().value);
    const boxes = Array.from({ length: 5 }, () => new Box(departures, new SlowSocket(next)));
    const expected = boxes.map((): Buffer[] => []);
    for (const [index, { box, size, wait }] of frames.entries()) {
      const bytes = Buffer.alloc(size + 1, index + 1);
      expected[box]?.push(bytes);
      boxes[box]?.put(bytes);
      if (wait) await new Promise<void>((resolve) => systemTimers.soon(resolve));
    }
    await new Promise<void>((resolve) => systemTimers.soon(resolve));
    for (const [index, { socket }] of boxes.entries()) {
      await new Promise<void>((resolve) => socket.end(resolve));
      expect(Buffer.concat(socket.taken).equals(Buffer.concat(expected[index] ?? []))).toBe(true);
    }
  });
  await fc.assert(runs, { numRuns: 60 });
});

test('what is put in during one turn leaves in one write', async () => {
  const departures = new Departures({ clock: systemClock, timers: systemTimers });
  const box = new Box(departures, new SlowSocket(() => 0));
  for (let index = 0; index < 100; index++) box.put(Buffer.alloc(200, index));
  await new Promise<void>((resolve) => systemTimers.soon(resolve));
  expect(box.socket.writes).toBe(1);
});

test('many sockets do not keep the event loop, and what comes meanwhile leaves with the rest', async () => {
  let elapsed = 0;
  const departures = new Departures({ clock: { now: () => 0, elapsed: () => elapsed }, timers: systemTimers });
  const boxes = Array.from({ length: 10 }, () => new Box(departures, new SlowSocket(() => ++elapsed * 0)));
  for (const box of boxes) box.put(Buffer.alloc(10));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const written = (): number => boxes.filter(({ socket }) => socket.writes > 0).length;
  expect(written()).toBe(3);
  for (const box of boxes) box.put(Buffer.alloc(10));
  while (written() < 10) await new Promise<void>((resolve) => systemTimers.soon(resolve));
  expect(boxes.slice(3).map(({ socket }) => socket.writes)).toEqual([1, 1, 1, 1, 1, 1, 1]);
});
