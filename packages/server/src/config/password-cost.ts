/** The bcrypt cost whose effort the reference parameters below stand for. */
const REFERENCE_COST = 12;
/** argon2id parameters that are recommended for servers: 19 MiB, two passes. */
const REFERENCE_MEMORY_KIB = 19_456;
const REFERENCE_ITERATIONS = 2;
const MEMORY_KIB_MIN = 1_024;
const MEMORY_KIB_MAX = 262_144;

/** argon2id parameters. */
export interface PasswordCost {
  readonly memoryKib: number;
  readonly iterations: number;
}

/**
 * The argon2id parameters for a cost on bcrypt's scale, where each step doubles the work: 12 (default) is 19 MiB and two
 * passes, 11 half the memory, …, 4 (tests and benchmarks) the smallest that is accepted, 1 MiB and one pass.
 */
export function passwordCost(bcryptCost: number): PasswordCost {
  const memoryKib = Math.round(REFERENCE_MEMORY_KIB * 2 ** (bcryptCost - REFERENCE_COST));
  return {
    memoryKib: Math.min(MEMORY_KIB_MAX, Math.max(MEMORY_KIB_MIN, memoryKib)),
    iterations: bcryptCost < 8 ? 1 : REFERENCE_ITERATIONS,
  };
}
