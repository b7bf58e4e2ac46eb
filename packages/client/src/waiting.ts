/** A call that can be given up. */
export interface WaitOptions {
  /** Gives up waiting: the call then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What the promise answers, unless the signal aborts first: then its reason is thrown, and what the promise does is nobody's business any more. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  let give = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    give = () => reject(signal.reason);
  });
  if (signal.aborted) give();
  signal.addEventListener('abort', give);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', give);
  }
}

/** `Symbol.asyncDispose`, or the symbol that compilers' stand-ins for `await using` fall back to where a runtime has none. */
export const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
