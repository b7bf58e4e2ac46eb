/** Bytes of an answer that are on their way from the scan thread; it waits for room above that. */
const ON_THE_WAY_BYTES_MAX = 1_048_576;
/** Milliseconds after which a thread that waits for room looks whether it is to stop. */
const LOOK_MILLIS = 20;

/** Places in the shared memory. */
const STOPPED_ID = 0;
const BYTES_ON_THE_WAY = 1;
const PLACES = 2;

/**
 * What the main thread tells the scan thread while that is busy with a query and reads no messages: which query is to stop, and how much of
 * its answer has arrived. One for each thread; both sides see the same memory.
 */
export class ScanControl {
  readonly memory: SharedArrayBuffer;
  readonly #places: Int32Array;

  /** On what the other side has made; makes the memory when there is none. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(PLACES * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#places = new Int32Array(memory);
  }

  /** Main thread: the query with this id is to stop. */
  stop(id: number): void {
    Atomics.store(this.#places, STOPPED_ID, id);
    Atomics.notify(this.#places, BYTES_ON_THE_WAY);
  }

  /** Main thread: so much of what was sent needs no memory any more. */
  arrived(bytes: number): void {
    Atomics.sub(this.#places, BYTES_ON_THE_WAY, bytes);
    Atomics.notify(this.#places, BYTES_ON_THE_WAY);
  }

  /** Scan thread: whether the query is to stop. */
  isStopped(id: number): boolean {
    return Atomics.load(this.#places, STOPPED_ID) === id;
  }

  /** Scan thread: so much is sent. */
  sent(bytes: number): void {
    Atomics.add(this.#places, BYTES_ON_THE_WAY, bytes);
  }

  /** Scan thread: holds it up until there is room for more, or the query is to stop. */
  waitForRoom(id: number): void {
    while (!this.isStopped(id)) {
      const bytes = Atomics.load(this.#places, BYTES_ON_THE_WAY);
      if (bytes < ON_THE_WAY_BYTES_MAX) return;
      Atomics.wait(this.#places, BYTES_ON_THE_WAY, bytes, LOOK_MILLIS);
    }
  }
}
