import { Readable } from 'node:stream';
import type { Clock, Timer, Timers } from '@kalamdb/protocol';
import type { EnvelopePieces } from './sql-envelope.ts';

/** Bytes of one answer that wait for its reader. */
const WAITING_BYTES_MAX = 131_072;
/** Milliseconds of one turn of the event loop that all answers together may be worked at. */
const TURN_MILLIS = 2;
/** A reader that takes nothing for so long is cut off: its rows must not be held for ever. */
const STALLED_MILLIS_MAX = 30_000;
/** How often stalled readers are looked for. */
const SWEEP_MILLIS = 1000;

/** What {@link AnswerStreams} works with. */
export interface AnswerStreamsSources {
  readonly clock: Clock;
  readonly timers: Timers;
}

/**
 * Answers that are made while they are read. A piece is made when the reader has taken the one before, one after another and for
 * at most {@link TURN_MILLIS} in a turn of the event loop, however many answers there are.
 */
export class AnswerStreams {
  readonly #sources: AnswerStreamsSources;
  readonly #open = new Set<AnswerStream>();
  readonly #waiting: (() => void)[] = [];
  #turnSet = false;
  #sweep: Timer | undefined;

  constructor(sources: AnswerStreamsSources) {
    this.#sources = sources;
  }

  /** Answers that are being read. */
  get count(): number {
    return this.#open.size;
  }

  /** The bytes of a body. Whoever does not read it to its end destroys it. `cut` is told why it ends before its end, unless its reader ends it. */
  open(pieces: EnvelopePieces, cut: (error: Error) => void = () => undefined): Readable {
    const { clock, timers } = this.#sources;
    const stream = new AnswerStream(pieces, { clock, turn: (work) => this.#turn(work), cut });
    this.#open.add(stream);
    this.#sweep ??= timers.every(SWEEP_MILLIS, () => this.#cutStalled());
    stream.once('close', () => {
      this.#open.delete(stream);
      if (this.#open.size > 0) return;
      this.#sweep?.cancel();
      this.#sweep = undefined;
    });
    return stream;
  }

  /** Has work done in one of the next turns of the event loop, in the order of asking. */
  #turn(work: () => void): void {
    this.#waiting.push(work);
    if (!this.#turnSet) this.#setTurn();
  }

  #setTurn(): void {
    this.#turnSet = true;
    this.#sources.timers.soon(() => {
      this.#turnSet = false;
      const end = this.#sources.clock.elapsed() + TURN_MILLIS;
      do this.#waiting.shift()?.();
      while (this.#waiting.length > 0 && this.#sources.clock.elapsed() < end);
      if (this.#waiting.length > 0 && !this.#turnSet) this.#setTurn();
    });
  }

  #cutStalled(): void {
    const before = this.#sources.clock.elapsed() - STALLED_MILLIS_MAX;
    for (const stream of this.#open) if (stream.idleSinceMillis <= before) stream.cut(new Error('the reader of the answer has stalled'));
  }
}

interface StreamSources {
  readonly clock: Clock;
  turn(work: () => void): void;
  cut(error: Error): void;
}

/** One body in the making. */
class AnswerStream extends Readable {
  readonly #sources: StreamSources;
  readonly #rest: EnvelopePieces['rest'];
  #first: string | undefined;
  #idleSinceMillis: number;

  constructor({ first, rest }: EnvelopePieces, sources: StreamSources) {
    super({ highWaterMark: WAITING_BYTES_MAX });
    this.#first = first;
    this.#rest = rest;
    this.#sources = sources;
    this.#idleSinceMillis = sources.clock.elapsed();
  }

  /** Since when the reader has not wanted more, on the clock's `elapsed` scale; `Infinity` while it waits for a piece. */
  get idleSinceMillis(): number {
    return this.#idleSinceMillis;
  }

  /** Ends it so that nobody can take what was sent for the whole: the head is sent, so that is all that is left. */
  cut(error: Error): void {
    if (this.destroyed) return;
    this.#sources.cut(error);
    this.destroy(error);
  }

  override _read(): void {
    this.#idleSinceMillis = Number.POSITIVE_INFINITY;
    if (this.#first === undefined) {
      this.#makeNext();
      return;
    }
    const first = this.#first;
    this.#first = undefined;
    this.#give(first);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#rest.return('');
    done(error);
  }

  #makeNext(): void {
    this.#sources.turn(() => this.#next());
  }

  #next(): void {
    if (this.destroyed) return;
    try {
      const { done, value } = this.#rest.next();
      if (typeof value === 'string') {
        this.#give(value);
        if (done === true) this.push(null);
      } else {
        value.then(
          () => this.#makeNext(),
          (error: unknown) => this.cut(asError(error)),
        );
      }
    } catch (error) {
      this.cut(asError(error));
    }
  }

  #give(text: string): void {
    this.#idleSinceMillis = this.#sources.clock.elapsed();
    this.push(Buffer.from(text));
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
