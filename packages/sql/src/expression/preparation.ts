import type { Cell } from '@kalamdb/protocol';
import { type EvalContext, parameterContext } from './input-row.ts';

/** The values of a plan for one set of parameters, as {@link EvalContext} carries them. */
export type PreparedValues = Pick<EvalContext, 'parameters' | 'prepared'>;

/**
 * What a plan that many callers keep for long, each with parameters of its own, works out of the parameters: once for each set of
 * them instead of once for each row, and kept by the caller instead of the plan. Binding fills it, one for each plan.
 */
export class Preparation {
  readonly #parameterCount: number;
  readonly #cells: ((parameters: readonly Cell[]) => Cell)[] = [];
  readonly #objects: ((context: EvalContext) => unknown)[] = [];

  constructor(parameterCount: number) {
    this.#parameterCount = parameterCount;
  }

  /** Has a cell made of the parameters; answers its index in `EvalContext.parameters`, behind them. */
  cell(make: (parameters: readonly Cell[]) => Cell): number {
    this.#cells.push(make);
    return this.#parameterCount + this.#cells.length - 1;
  }

  /** Has something made of the parameters and the cells, and answers what reads it. */
  object<T extends object>(make: (context: EvalContext) => T): (context: EvalContext) => T {
    const index = this.#objects.push(make) - 1;
    // What stands there is what `make` gave.
    return (context) => context.prepared?.[index] as T;
  }

  /** Works everything out. Throws what reading a parameter as a value of its type throws. */
  values(parameters: readonly Cell[]): PreparedValues {
    // Not spread into a new array: that keeps room for sixteen more, and there may be a hundred thousand of these.
    const cells = parameters.concat(this.#cells.map((make) => make(parameters)));
    if (this.#objects.length === 0) return { parameters: cells };
    const context = parameterContext(cells);
    return { parameters: cells, prepared: this.#objects.map((make) => make(context)) };
  }
}
