import { initParser } from '@kalamdb/sql';
import { GrammarReport, GrammarWorld } from './grammar-world.ts';

/** Statements of one world: it stays small, so that the dumps do. */
const WORLD_STATEMENTS = 500;

/** How much is played. */
export interface GrammarRun {
  /** Of the first world; each further world has the next one. */
  readonly seed: number;
  readonly statements: number;
  readonly onWorld?: ((seed: number, report: GrammarReport) => void) | undefined;
}

/** Plays statements of the dialect, right and wrong, against databases in memory. What is wrong is in the report. */
export async function runGrammar({ seed, statements, onWorld }: GrammarRun): Promise<GrammarReport> {
  await initParser();
  const report = new GrammarReport();
  for (let world = 0; world * WORLD_STATEMENTS < statements; world++) {
    const opened = await GrammarWorld.open(seed + world, report);
    try {
      await opened.playRandom(seed + world, Math.min(WORLD_STATEMENTS, statements - world * WORLD_STATEMENTS));
    } finally {
      await opened.close();
    }
    onWorld?.(seed + world, report);
  }
  return report;
}
