import { appendFileSync } from 'node:fs';

/** The long form of a model test: `npm run engine-model` asks for it through the environment. */
export interface LongRun {
  readonly seeds: readonly number[];
  /** Statements of each seed. */
  readonly statements: number;
  /** Where rows lie: some programs move theirs into segments, all of them do, or none. */
  readonly placement: 'any' | 'cold' | 'hot';
  /** Hands on what happened, by name, to be added up. */
  report(counts: Readonly<Record<string, number>>): void;
}

/** `undefined`: the short form, as in CI. */
export function longRun(): LongRun | undefined {
  const { KALAMDB_MODEL_SEEDS: seeds, KALAMDB_MODEL_STATEMENTS: statements, KALAMDB_MODEL_REPORT: report } = process.env;
  const { KALAMDB_MODEL_PLACEMENT: placement } = process.env;
  if (seeds === undefined || statements === undefined || report === undefined) return undefined;
  const count = Number(seeds);
  return {
    seeds: Array.from({ length: count }, (_, index) => index + 1),
    statements: Math.ceil(Number(statements) / count),
    placement: placement === 'cold' || placement === 'hot' ? placement : 'any',
    report: (counts) => appendFileSync(report, `${JSON.stringify(counts)}\n`),
  };
}
