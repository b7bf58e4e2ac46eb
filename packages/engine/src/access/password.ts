import { availableParallelism } from 'node:os';
import { kalamError, type Random } from '@kalamdb/protocol';
import { hash, verify } from '@node-rs/argon2';

/** Threads of libuv's pool when the environment does not say. */
const POOL_THREADS_DEFAULT = 4;
/**
 * Hashes computed at one time, each on a thread of libuv's pool with `memoryKib`: one for each core, and never more than half
 * of the pool, whose other half writes the log.
 */
export const HASHES_MAX: number = Math.max(
  1,
  Math.min(availableParallelism(), (Number(process.env['UV_THREADPOOL_SIZE']) || POOL_THREADS_DEFAULT) >> 1),
);
/** Hashes that may wait for their turn, some seconds' worth; more are refused with TOO_MANY_LOGINS. */
export const WAITING_HASHES_MAX = 256;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** What a guess costs. */
export interface PasswordCost {
  readonly memoryKib: number;
  readonly iterations: number;
}

/** OWASP's choice for argon2id. */
export const DEFAULT_PASSWORD_COST: PasswordCost = { memoryKib: 19_456, iterations: 2 };

/** Hashes passwords with argon2id in libuv's thread pool, a few at a time. */
export class PasswordHasher {
  readonly #cost: PasswordCost;
  readonly #random: Random;
  /** A hash that no password has, of the usual cost. */
  readonly #nobody: string;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(cost: PasswordCost, random: Random) {
    this.#cost = cost;
    this.#random = random;
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replaceAll('=', '');
    const parameters = `m=${cost.memoryKib},t=${cost.iterations},p=1`;
    this.#nobody = `$argon2id$v=19$${parameters}$${base64(random.bytes(SALT_BYTES))}$${base64(random.bytes(HASH_BYTES))}`;
  }

  /** The hash in PHC form, with its parameters and salt in it. Throws TOO_MANY_LOGINS when too many are waiting. */
  hash(password: string): Promise<string> {
    const { memoryKib, iterations } = this.#cost;
    return this.#bounded(() =>
      hash(password, {
        memoryCost: memoryKib,
        timeCost: iterations,
        parallelism: 1,
        outputLen: HASH_BYTES,
        salt: this.#random.bytes(SALT_BYTES),
      }),
    );
  }

  /**
   * Whether the password has this hash. Without a hash the answer is `false` after the same work, so that the time does not
   * tell who exists. Throws TOO_MANY_LOGINS when too many are waiting.
   */
  async verify(password: string, encoded: string | undefined): Promise<boolean> {
    const matches = await this.#bounded(() => verify(encoded ?? this.#nobody, password));
    return matches && encoded !== undefined;
  }

  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < HASHES_MAX) this.#running += 1;
    else {
      if (this.#waiting.length >= WAITING_HASHES_MAX) throw kalamError('TOO_MANY_LOGINS');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
