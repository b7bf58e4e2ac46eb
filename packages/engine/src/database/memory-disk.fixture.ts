import { type HotStore, type LogEntry, memoryLogImage, openMemoryLog, openMemoryStore } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import { withHot } from '../sequencer/sequencer-world.fixture.ts';
import type { Storage } from './open-storage.ts';

/** Stores in memory that outlive the database on them, whose hot tier can be held back and made to fail. */
export class MemoryDisk {
  readonly #random = new SeededRandom(1);
  readonly #image = memoryLogImage(this.#random);
  readonly #hot: HotStore = openMemoryStore();
  #held: (() => void)[] | undefined;
  /** Batches that are refused from now on. */
  failures = 0;

  /** Opens it as it is: what an earlier database has not applied is replayed, as after a crash. */
  async open(): Promise<Storage> {
    const log = openMemoryLog({ random: this.#random, startSeq: this.#hot.appliedSeq, image: this.#image });
    for await (const entry of log.replay(this.#hot.appliedSeq)) await this.#hot.apply([entry]);
    let crashed = false;
    this.crash = () => {
      crashed = true;
      this.release();
    };
    const apply = async (entries: readonly LogEntry[]): Promise<void> => {
      const held = this.#held;
      if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
      if (crashed) return new Promise(() => undefined);
      if (this.failures > 0) {
        this.failures -= 1;
        throw new Error('the hot tier takes no batch');
      }
      return this.#hot.apply(entries);
    };
    const hot = withHot(this.#hot, { apply, close: () => Promise.resolve() });
    return { log, hot, directory: undefined, onReopen: () => undefined, close: () => log.close() };
  }

  /** The database that was opened last applies nothing more. It is not to be closed. */
  crash: () => void = () => undefined;

  /** From now on batches wait. */
  hold(): void {
    this.#held ??= [];
  }

  /** Lets what waits go on, and what comes. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }
}
