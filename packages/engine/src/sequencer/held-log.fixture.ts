import type { CommitLog, Durability, LogEntry } from '@kalamdb/storage';

/** A real log whose appends a test can hold back and make fail before they happen. */
export class HeldLog implements CommitLog {
  readonly #log: CommitLog;
  /** Every append that reached the log: its names and how it wanted to be written. */
  readonly appended: { readonly seqs: readonly bigint[]; readonly durability: Durability }[] = [];
  #held: (() => void)[] | undefined;
  #failNext: Error | undefined;
  #onHeld: () => void = () => undefined;

  constructor(log: CommitLog) {
    this.#log = log;
  }

  get lastSeq(): bigint {
    return this.#log.lastSeq;
  }

  get syncedSeq(): bigint {
    return this.#log.syncedSeq;
  }

  get incarnation(): string {
    return this.#log.incarnation;
  }

  /** From now on appends wait for {@link release}. */
  hold(): void {
    this.#held ??= [];
  }

  /** Lets the waiting appends go on, in order, and those that follow. */
  releaseAppends(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  /** Resolves when an append waits. */
  get handedOver(): Promise<void> {
    if ((this.#held?.length ?? 0) > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onHeld = resolve;
    });
  }

  /** The next append that goes on rejects and writes nothing. */
  failNext(error: Error): void {
    this.#failNext = error;
  }

  async append(entries: readonly LogEntry[], durability: Durability): Promise<void> {
    const held = this.#held;
    if (held !== undefined) {
      await new Promise<void>((go) => {
        held.push(go);
        this.#onHeld();
      });
    }
    const failure = this.#failNext;
    this.#failNext = undefined;
    if (failure !== undefined) throw failure;
    await this.#log.append(entries, durability);
    this.appended.push({ seqs: entries.map(({ seq }) => seq), durability });
  }

  sync(): Promise<void> {
    return this.#log.sync();
  }

  replay(afterSeq: bigint): AsyncIterable<LogEntry> {
    return this.#log.replay(afterSeq);
  }

  release(seq: bigint): void {
    this.#log.release(seq);
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
