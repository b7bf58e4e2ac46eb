import { kalamError, type Random } from '@kalamdb/protocol';
import { hash, verify } from '@node-rs/argon2';

/** Hashes computed at one time; each occupies a thread of libuv's pool and `memoryKib`. */
const HASHES_MAX = 2;
/** Hashes that may wait for their turn; more are refused with TOO_MANY_LOGINS. */
const WAITING_HASHES_MAX = 256;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** What a guess costs. */
export interface PasswordCost {
  readonly memoryKib: number;
  readonly iterations: number;
}

/** OWASP's choice for argon2id. */
export const DEFAULT_PASSWORD_COST: PasswordCost = { memoryKib: 19_456, iterations: 2 };

const PASSWORD_BYTES_MIN = 8;
const PASSWORD_BYTES_MAX = 72;

/** Passwords that everybody tries first (wire-protocol 2.7). */
const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  (
    'password 123456 12345678 qwerty abc123 monkey 1234567 letmein trustno1 dragon baseball iloveyou master sunshine ashley bailey ' +
    'passw0rd shadow 123123 654321 superman qazwsx michael football'
  ).split(' '),
);

/** Refuses a weak password (WEAK_PASSWORD); `what` names it in the text. The rules hold at setup only. */
export function checkPassword(what: string, password: string): void {
  const bytes = Buffer.byteLength(password);
  const refuse = (reason: string): never => {
    throw kalamError('WEAK_PASSWORD', { what, reason });
  };
  if (bytes < PASSWORD_BYTES_MIN) refuse(`Password must be at least ${PASSWORD_BYTES_MIN} characters (weak)`);
  if (bytes > PASSWORD_BYTES_MAX) refuse(`Password must be at most ${PASSWORD_BYTES_MAX} characters`);
  if (COMMON_PASSWORDS.has(password.toLowerCase())) refuse('Password is too common');
}

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
