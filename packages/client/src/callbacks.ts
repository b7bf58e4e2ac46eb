import { reasonOf } from './client-error.ts';
import type { ClientOptions } from './client-options.ts';
import { type Log, LogLevel } from './log.ts';

/** The callbacks of an application that concern the whole client. */
type ClientCallbacks = Pick<ClientOptions, 'onConnect' | 'onDisconnect' | 'onError' | 'onReceive' | 'onSend'>;

/** Calls the application and survives it: what a callback throws is logged and told to `onError`, and goes no further. */
export class Callbacks {
  readonly #log: Log;
  #current: ClientCallbacks;

  constructor(callbacks: ClientCallbacks, log: Log) {
    const { onConnect, onDisconnect, onError, onReceive, onSend } = callbacks;
    this.#current = { onConnect, onDisconnect, onError, onReceive, onSend };
    this.#log = log;
  }

  /** Replaces some; `undefined` removes one. */
  set(callbacks: ClientCallbacks): void {
    this.#current = { ...this.#current, ...callbacks };
  }

  /** Calls those that `act` picks. */
  call(act: (callbacks: ClientCallbacks) => void): void {
    try {
      act(this.#current);
    } catch (error) {
      this.threw(error);
    }
  }

  /** Deals with what a callback of the application threw. */
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
