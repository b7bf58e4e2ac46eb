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

  /** The bytes of a body. Whoever does not read it to its end destroys it. */
  open(pieces: EnvelopePieces): Readable {
    const { clock, timers } = this.#sources;
    const stream = new AnswerStream(pieces, { clock, turn: (work) => this.#turn(work) });
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
    for (const stream of this.#open) if (stream.askedAtMillis <= before) stream.destroy(new Error('the reader of the answer has stalled'));
  }
}

interface StreamSources {
  readonly clock: Clock;
  turn(work: () => void): void;
}

/** One body in the making. */
class AnswerStream extends Readable {
  readonly #sources: StreamSources;
  readonly #rest: EnvelopePieces['rest'];
  #first: string | undefined;
  #askedAtMillis: number;

  constructor({ first, rest }: EnvelopePieces, sources: StreamSources) {
    super({ highWaterMark: WAITING_BYTES_MAX });
    this.#first = first;
    this.#rest = rest;
    this.#sources = sources;
    this.#askedAtMillis = sources.clock.elapsed();
  }

  /** When the reader last wanted more, on the clock's `elapsed` scale. */
  get askedAtMillis(): number {
    return this.#askedAtMillis;
  }

  override _read(): void {
    this.#askedAtMillis = this.#sources.clock.elapsed();
    if (this.#first === undefined) {
      this.#sources.turn(() => this.#next());
      return;
    }
    const first = this.#first;
    this.#first = undefined;
    this.push(Buffer.from(first));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#rest.return('');
    done(error);
  }

  #next(): void {
    if (this.destroyed) return;
    try {
      const { done, value } = this.#rest.next();
      this.push(Buffer.from(value));
      if (done === true) this.push(null);
    } catch (error) {
      // The head is sent, so all that is left is not to end the body as if it were whole.
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
