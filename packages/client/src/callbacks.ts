import { reasonOf } from './client-error.ts';
import type { ClientOptions } from './client-options.ts';
import { isThenable } from './live/inbox.ts';
import { type Log, LogLevel } from './log.ts';

/** The callbacks of an application that concern the whole client. */
type ClientCallbacks = Pick<ClientOptions, 'onConnect' | 'onDisconnect' | 'onError' | 'onReceive' | 'onSend'>;

/** Calls the application and survives it: what a callback throws, or rejects with, is logged and told to `onError`, and goes no further. */
export class Callbacks {
  readonly #log: Log;
  #current: ClientCallbacks;

  constructor(callbacks: ClientCallbacks, log: Log) {
    this.#current = callbacks;
    this.#log = log;
  }

  /** Replaces some; `undefined` removes one. */
  set(callbacks: ClientCallbacks): void {
    this.#current = { ...this.#current, ...callbacks };
  }

  /**
   * Calls those that `act` picks. `act` returns what they return; if that is a promise, so is the answer, which never rejects.
   */
  call(act: (callbacks: ClientCallbacks) => unknown): Promise<void> | undefined {
    try {
      const returned = act(this.#current);
      if (isThenable(returned))
        return Promise.resolve(returned).then(
          () => undefined,
          (error: unknown) => this.threw(error),
        );
    } catch (error) {
      this.threw(error);
    }
    return undefined;
  }

  /** Deals with what the application's code threw. */
  threw(error: unknown): void {
    const message = `a callback threw: ${reasonOf(error)}`;
    this.#log.write(LogLevel.Error, 'callback', message);
    try {
      this.#current.onError?.({ message, recoverable: true });
    } catch (again) {
      this.#log.write(LogLevel.Error, 'callback', `onError threw: ${reasonOf(again)}`);
    }
  }
}
