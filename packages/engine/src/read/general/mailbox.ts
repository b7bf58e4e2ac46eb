/** Messages of one kind that wait for their reader. Whoever fills it bounds how many there are. */
export class Mailbox<T> {
  readonly #waiting: T[] = [];
  #reader: ((message: T) => void) | undefined;

  put(message: T): void {
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) this.#waiting.push(message);
    else reader(message);
  }

  /** The next message; rejects with the signal's reason. One reader at a time. */
  next(signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    const [message] = this.#waiting.splice(0, 1);
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#reader = undefined;
        reject(signal.reason);
      };
      signal.addEventListener('abort', end, { once: true });
      this.#reader = (found) => {
        signal.removeEventListener('abort', end);
        resolve(found);
      };
    });
  }
}
