import type { Random } from '@kalamdb/protocol';

/** What a client may call its request. */
const OWN_NAME = /^[\w.:-]{1,128}$/;
const PREFIX_BYTES = 4;

/**
 * Names requests, so that a line of the log, a transaction and an answer can be told to belong together: the `x-request-id` of the
 * client if it can be used as it is, else one that no other request of this or another start has.
 */
export class RequestIds {
  readonly #prefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = Buffer.from(random.bytes(PREFIX_BYTES)).toString('hex');
  }

  /** The name of a request with this header. */
  of(header: string | readonly string[] | undefined): string {
    if (typeof header === 'string' && OWN_NAME.test(header)) return header;
    this.#count += 1;
    return `${this.#prefix}-${this.#count.toString(36)}`;
  }
}
