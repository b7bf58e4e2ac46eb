import { KalamError } from '@kalamdb/protocol';
import { Preparation, type PreparedValues } from '../expression/preparation.ts';
import type { ParameterInfo } from '../expression/value.ts';
import { type LiftedLiteral, type LiftedStatement, liftLiterals } from '../lexer/lift.ts';
import { type LiftedParameter, liftedParameter, parameterKinds } from './lifted-parameter.ts';
import type { SubscriptionPlan } from './plans.ts';
import { bindSubscription, type SubscriptionRequest } from './subscription.ts';

/** Queries that are longer (UTF-16 units) are bound each time. */
const KEPT_UNITS_MAX = 16 * 1024;

/** A subscription's query: a plan that others may share, and what is its own. */
export interface BoundSubscription {
  readonly plan: SubscriptionPlan;
  /** The literals that the plan's parameters stand for: with plans of one shape, equal literals are equal queries. */
  readonly literals: string;
  /** What the context of the plan's evaluations carries. */
  readonly values: PreparedValues;
}

/** How a compiler binds. */
export type SubscriptionCompileRequest = Omit<SubscriptionRequest, 'parameters'>;

interface Kept {
  readonly plan: SubscriptionPlan;
  readonly preparation: Preparation;
}

const NO_VALUES: PreparedValues = { parameters: [] };

/**
 * Turns the texts of subscriptions into plans and keeps the most recently used ones: texts that differ in their literals only share
 * one. A plan is dropped when its table is no longer the very object that the catalog gives.
 */
export class SubscriptionCompiler {
  readonly #plansMax: number;
  /** In the order of last use. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: { readonly plansMax: number }) {
    this.#plansMax = options.plansMax;
  }

  /** Throws the errors of {@link bindSubscription}, with their positions in `text`. */
  compile(text: string, request: SubscriptionCompileRequest): BoundSubscription {
    const lifted = text.length > KEPT_UNITS_MAX ? undefined : liftedOf(text);
    return (lifted && this.#compileLifted(lifted, request)) ?? boundAsWritten(text, request);
  }

  /** `undefined`: something in the text is wrong; bound as it stands it says what and where. */
  #compileLifted({ shape, literals }: LiftedStatement, request: SubscriptionCompileRequest): BoundSubscription | undefined {
    try {
      const parameters = literals.map(liftedParameter);
      const key = `${request.windows === true}\n${request.namespace ?? ''}\n${parameterKinds(parameters)}\n${shape}`;
      const { plan, preparation } = this.#find(key, request) ?? this.#keep(key, boundShape(shape, parameters, request));
      const values = parameters.length === 0 ? NO_VALUES : preparation.values(parameters.map(({ cell }) => cell));
      return { plan, literals: literalsKey(literals), values };
    } catch (error) {
      if (error instanceof KalamError) return undefined;
      throw error;
    }
  }

  #find(key: string, { catalog }: SubscriptionCompileRequest): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const { table } = kept.plan;
    if (catalog.table(table.namespace, table.name) === table) return this.#keep(key, kept);
    this.#kept.delete(key);
    return undefined;
  }

  #keep(key: string, kept: Kept): Kept {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    if (this.#kept.size > this.#plansMax) {
      for (const oldest of this.#kept.keys()) {
        this.#kept.delete(oldest);
        break;
      }
    }
    return kept;
  }
}

function liftedOf(text: string): LiftedStatement | undefined {
  try {
    return liftLiterals(text, 0);
  } catch (error) {
    if (error instanceof KalamError) return undefined;
    throw error;
  }
}

function boundShape(shape: string, parameters: readonly LiftedParameter[], request: SubscriptionCompileRequest): Kept {
  const preparation = new Preparation(parameters.length);
  const infos = parameters.map(({ info }): ParameterInfo => ({ ...info, preparation }));
  const plan = bindSubscription(shape, { ...request, parameters: infos });
  // `n = $1` means another thing for a text than for a number.
  return { plan: { ...plan, shape: `${plan.shape} ${parameterKinds(parameters)}` }, preparation };
}

function boundAsWritten(text: string, request: SubscriptionCompileRequest): BoundSubscription {
  return { plan: bindSubscription(text, request), literals: '', values: NO_VALUES };
}

/** Their number is that of the plan's parameters, so one need not be told from a list of one. */
function literalsKey(literals: readonly LiftedLiteral[]): string {
  const [first, second] = literals;
  if (first === undefined) return '';
  return second === undefined ? first.text : JSON.stringify(literals.map(({ text }) => text));
}
