import { type Durability, type Goal, medianGoal } from './goals.ts';
import type { Measurement } from './measure.ts';

/** One number beside its goal, if there is one. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: Goal | undefined;
}

/** Prints a table of cases; without a durability there are no goals. */
export function printCases(title: string, measured: readonly Measurement[], durability?: Durability): void {
  console.log(`\n### ${title}\n\n| case | p50 ms | p99 ms | per second | samples | goal for p50 | met |\n|---|---|---|---|---|---|---|`);
  for (const { name, p50Millis, p99Millis, perSecond, samples } of measured) {
    const goal = medianGoal(name, durability);
    const cells = [name, p50Millis.toFixed(3), p99Millis.toFixed(3), Math.round(perSecond), samples, ...verdict(goal, p50Millis)];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

/** Prints single numbers. */
export function printFigures(figures: readonly Figure[]): void {
  console.log('\n| figure | value | goal | met |\n|---|---|---|---|');
  for (const { name, value, unit, goal } of figures) {
    const text = `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    console.log(`| ${[name, text, ...verdict(goal, value)].join(' | ')} |`);
  }
}

function verdict(goal: Goal | undefined, value: number): readonly [string, string] {
  if (goal === undefined) return ['', ''];
  return [goal.text, Number.isNaN(value) ? '?' : goal.met(value) ? 'yes' : '**no**'];
}
