import type { SegmentFilter } from './bloom-filter.ts';

/** Memory that an entry takes besides the bits. */
const ENTRY_BYTES = 256;

/**
 * Filters that were asked for lately, under a byte bound; those not asked for the longest go first. A filter that is larger than the
 * bound is loaded each time.
 */
export class BloomCache {
  readonly #bytesMax: number;
  /** In the order of their last use. */
  readonly #filters = new Map<string, SegmentFilter>();
  readonly #loading = new Map<string, Promise<SegmentFilter>>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Memory that the filters hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A filter that is here already. */
  peek(name: string): SegmentFilter | undefined {
    const filter = this.#filters.get(name);
    if (filter === undefined) return undefined;
    this.#filters.delete(name);
    this.#filters.set(name, filter);
    return filter;
  }

  /**
   * The filter of that name; `load` is called when it is not here, once for all who ask meanwhile. Names are never used for other keys.
   * Rejects with what `load` rejects with; the next who asks tries again.
   */
  get(name: string, load: () => Promise<SegmentFilter>): Promise<SegmentFilter> {
    const found = this.peek(name);
    if (found !== undefined) return Promise.resolve(found);
    const begun = this.#loading.get(name);
    if (begun !== undefined) return begun;
    const loading = this.#load(name, load).finally(() => this.#loading.delete(name));
    this.#loading.set(name, loading);
    return loading;
  }

  /** Forgets a filter: its segment is gone. */
  delete(name: string): void {
    const filter = this.#filters.get(name);
    if (filter === undefined) return;
    this.#filters.delete(name);
    this.#bytes -= filter.bytes + ENTRY_BYTES;
  }

  async #load(name: string, load: () => Promise<SegmentFilter>): Promise<SegmentFilter> {
    const filter = await load();
    if (filter.bytes + ENTRY_BYTES > this.#bytesMax) return filter;
    this.#filters.set(name, filter);
    this.#bytes += filter.bytes + ENTRY_BYTES;
    for (const [oldest] of this.#filters) {
      if (this.#bytes <= this.#bytesMax) break;
      this.delete(oldest);
    }
    return filter;
  }
}
