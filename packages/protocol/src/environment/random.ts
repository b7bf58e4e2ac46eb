/** Randomness, passed in so that a failing run can be replayed. */
export interface Random {
  /** `count` random bytes, fit for secrets when the source is {@link systemRandom}. */
  bytes(count: number): Uint8Array;
  /** A number in [0, 1). */
  uniform(): number;
}

/** The machine's cryptographic randomness for bytes; `uniform` is not fit for secrets. */
export const systemRandom: Random = {
  bytes: (count) => globalThis.crypto.getRandomValues(new Uint8Array(count)),
  uniform: () => Math.random(),
};
