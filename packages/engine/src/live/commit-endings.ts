/** Somebody who has to act when a commit was handed on as a whole. */
export interface CommitListener {
  /** Every row of the commit, and of those before it, was handed on. It must not throw. */
  commitEnded(seq: bigint): void;
}

const NOBODY: readonly CommitListener[] = [];

/** Who waits for the end of the commit that is being handed on: nobody, for almost all commits. */
export class CommitEndings {
  readonly #waiting = new Set<CommitListener>();

  /** Has the listener called once, at the end of this commit. */
  wait(listener: CommitListener): void {
    this.#waiting.add(listener);
  }

  /** Who has waited for the commit that was handed on: whoever takes them calls each. */
  take(): readonly CommitListener[] {
    if (this.#waiting.size === 0) return NOBODY;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  /** The rest of the commit is not handed on: whoever waits for it reads it. */
  forget(): void {
    this.#waiting.clear();
  }
}
