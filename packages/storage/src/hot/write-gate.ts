/** Milliseconds that the end of the process waits for a transaction to end. */
const transactionMillisMax = 10_000;

const WRITING = 0;
const SHUT = 1;

/** Gates of threads that may be writing. */
const gates = new Set<WriteGate>();

/** Before the process ends its threads: none of them may be inside a transaction then. */
const shutAll = (): void => {
  // A thread that hangs would be waited for without end, and no other way out of the process passes it by.
  if ([...gates].some((gate) => !gate.shut())) process.kill(process.pid, 'SIGKILL');
};

/**
 * Stands between a thread and its write transactions, so that the end of the process (`process.exit`, an exception that nothing caught) does not
 * meet it inside one. A thread that is ended there never comes to its end: cleaning up after it, LMDB's binding waits for a lock that the thread itself
 * holds, and the process waits for the thread (https://github.com/kriszyp/lmdb-js/issues/336).
 *
 * The process's end waits for a transaction for 10 s at most. Then, and at once when the thread is known to hang, the process ends itself by SIGKILL.
 */
export class WriteGate {
  /** Shared with the thread, which makes its own gate of it. */
  readonly words: Int32Array<SharedArrayBuffer>;
  #hangs = false;

  constructor(words: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))) {
    this.words = words;
  }

  /** The thread begins to write, after which it leaves. Never returns when the gate is shut. */
  enter(): void {
    Atomics.store(this.words, WRITING, 1);
    if (!this.isShut) return;
    this.leave();
    Atomics.wait(this.words, SHUT, 1);
  }

  /** The thread has no transaction open. */
  leave(): void {
    Atomics.store(this.words, WRITING, 0);
    Atomics.notify(this.words, WRITING);
  }

  /** Whether the process is about to end: a long transaction had better give up. */
  get isShut(): boolean {
    return Atomics.load(this.words, SHUT) === 1;
  }

  /** From now on this process's end shuts the gate. */
  guard(): void {
    if (gates.size === 0) process.on('exit', shutAll);
    gates.add(this);
  }

  /** The thread has ended. */
  unguard(): void {
    gates.delete(this);
    if (gates.size === 0) process.off('exit', shutAll);
  }

  /** The thread has ended inside a transaction, and will not be gone before the process is. */
  hangs(): void {
    this.#hangs = true;
  }

  /** Lets no further transaction begin, and blocks until none is open; `false` when one stays open. */
  shut(): boolean {
    Atomics.store(this.words, SHUT, 1);
    return !this.#hangs && Atomics.wait(this.words, WRITING, 1, transactionMillisMax) !== 'timed-out';
  }
}
