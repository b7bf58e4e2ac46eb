import type { Clock, Timer, Timers } from '@kalamdb/protocol';

/** Least time between two writes of one job's progress. */
export const PROGRESS_MILLIS = 1000;

/** What notes are written with. */
interface NoteSources {
  readonly clock: Clock;
  readonly timers: Timers;
  write(text: string): void;
}

/** The progress of one run: of many texts the newest is written, at most one a second. */
export class ProgressNotes {
  readonly #sources: NoteSources;
  #nextMillis: number;
  #text = '';
  #timer: Timer | undefined;
  #closed = false;

  constructor(sources: NoteSources) {
    this.#sources = sources;
    this.#nextMillis = sources.clock.elapsed() + PROGRESS_MILLIS;
  }

  note(text: string): void {
    if (this.#closed) return;
    this.#text = text;
    const { clock, timers } = this.#sources;
    this.#timer ??= timers.after(Math.max(0, this.#nextMillis - clock.elapsed()), () => this.#write());
  }

  /** From now on nothing is written. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #write(): void {
    this.#timer = undefined;
    this.#nextMillis = this.#sources.clock.elapsed() + PROGRESS_MILLIS;
    this.#sources.write(this.#text);
  }
}
