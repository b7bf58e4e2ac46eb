import type { Random } from '@kalamdb/protocol';

const ID_BYTES = 16;
/** Ids that are drawn at a time: one draw from the system costs as much as many. */
const IDS_DRAWN = 64;

/** Names of connections: 32 hex digits, random. */
export class ConnectionIds {
  readonly #random: Random;
  #drawn = Buffer.alloc(0);

  constructor(random: Random) {
    this.#random = random;
  }

  next(): string {
    if (this.#drawn.length === 0) this.#drawn = Buffer.from(this.#random.bytes(ID_BYTES * IDS_DRAWN));
    const id = this.#drawn.toString('hex', 0, ID_BYTES);
    this.#drawn = this.#drawn.subarray(ID_BYTES);
    return id;
  }
}
