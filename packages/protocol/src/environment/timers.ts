/** A timer that was set; cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void;
}

/** Timers, passed in so that tests can move time by themselves. Timers never keep a process alive unless said. */
export interface Timers {
  /** Calls `callback` once after at least `millis`. */
  after(millis: number, callback: () => void, options?: { readonly keepAlive?: boolean }): Timer;
  /** Calls `callback` once, behind all events that have arrived by now; it keeps the process alive until then. */
  soon(callback: () => void): void;
  /** Calls `callback` every `millis` until cancelled. */
  every(millis: number, callback: () => void): Timer;
}

const unref = (handle: ReturnType<typeof setTimeout>): void => {
  if (typeof handle === 'object' && 'unref' in handle) handle.unref();
};

/** The runtime's timers. */
export const systemTimers: Timers = {
  after(millis, callback, options) {
    const handle = setTimeout(callback, millis);
    if (options?.keepAlive !== true) unref(handle);
    return { cancel: () => clearTimeout(handle) };
  },
  soon(callback) {
    setImmediate(callback);
  },
  every(millis, callback) {
    const handle = setInterval(callback, millis);
    unref(handle);
    return { cancel: () => clearInterval(handle) };
  },
};
