/** Runs asynchronous tasks one after another, in the order in which they came. Its callers bound how many wait. */
export class TaskQueue {
  #tail: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as `task` does, which starts when all earlier ones have ended, however they did. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(task, task);
    this.#tail = done;
    return done;
  }
}
