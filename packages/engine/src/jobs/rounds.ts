import { KalamError, type Timer, type Timers } from '@kalamdb/protocol';

/** What {@link Rounds} work with. */
export interface RoundSources {
  /** One round. Its signal is given when the rounds are closed: what is left may be left. */
  readonly look: (closing: AbortSignal) => Promise<void>;
  /** Milliseconds between two rounds. */
  readonly millis: number;
  /** What has not been done when a round fails. */
  readonly failure: string;
  readonly timers: Timers;
  readonly warn: (text: string, detail: object) => void;
}

/** Looks for work at intervals. Rounds do not overlap; one that fails is told of, and the next one comes in its time. */
export class Rounds {
  readonly #sources: RoundSources;
  readonly #closing = new AbortController();
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;

  constructor(sources: RoundSources) {
    this.#sources = sources;
  }

  /** Begins; the first round comes after the time between two. */
  start(): void {
    this.#timer = this.#sources.timers.every(this.#sources.millis, () => {
      this.#round ??= this.#look().finally(() => {
        this.#round = undefined;
      });
    });
  }

  /** Begins no further round, and resolves when none is under way. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#closing.abort();
    await this.#round;
  }

  async #look(): Promise<void> {
    try {
      await this.#sources.look(this.#closing.signal);
    } catch (error) {
      if (error instanceof KalamError && error.code === 'SHUTTING_DOWN') return;
      this.#sources.warn(`${this.#sources.failure}; trying again`, { error });
    }
  }
}
