import { kalamError } from '@kalamdb/protocol';
import { parseSelect } from '../parser/postgres/postgres-parser.ts';
import { writeFunction } from './calls.ts';
import { writeExpression } from './expressions.ts';
import type { GeneralOutput, GeneralPlan } from './general-plan.ts';
import { typeOf } from './piece.ts';
import { writeQuery } from './query.ts';
import type { Output, Place, Writer } from './scope.ts';
import { shownQuery } from './shown-query.ts';
import { type GeneralRequest, Plan, Unit } from './unit.ts';

const WRITER: Writer = { expression: writeExpression, query: writeQuery, call: writeFunction };

/** A statement that begins to be written anew. */
export interface StartedPlan {
  readonly plan: Plan;
  readonly unit: Unit;
  /** Outside of every query. */
  readonly place: Place;
}

/** Begins a query of a statement's text. */
export function startPlan(text: string, request: GeneralRequest): StartedPlan {
  const plan = new Plan(request, text);
  const unit = new Unit(plan, text, { namespace: request.namespace, depth: 0 });
  const place = { writer: WRITER, unit, scopes: [], tables: undefined, noAggregates: undefined, windows: new Map(), mentioned: undefined };
  return { plan, unit, place };
}

/** What is told of the columns of a query. */
export function generalOutputs(outputs: readonly Output[]): readonly GeneralOutput[] {
  return outputs.map(({ name, piece: { shownAs, ...piece } }) => ({
    name,
    column: piece.column,
    type: typeOf(piece),
    ...(shownAs === undefined ? {} : { shownAs }),
  }));
}

/**
 * Plans a SELECT for the general executor: PostgreSQL's syntax tree, written anew in DuckDB's SQL.
 *
 * Nothing of the statement's text reaches DuckDB. The tree is walked with a list of the nodes that are allowed (any other is
 * NOT_IMPLEMENTED); each of them writes words of its own. What comes from outside is in one of three forms: a name of a column or
 * an output, always quoted; a constant, always quoted or a number; the name of a function, only if a table of this folder has it. A table
 * reference becomes the name of a source (`k0` …), of a common table or of a subselect, made here, so there is no way to write the
 * name of a file, a setting, a table function or a catalog of DuckDB's.
 *
 * Names are resolved here, as scoping in PostgreSQL says: each table reference gets an alias of its own and every column is written with
 * it, so nothing depends on how DuckDB resolves names. Types, conversions and their errors are those of the compiled
 * binder, which is asked about every operation.
 *
 * Throws what the compiled binder throws, with positions: SYNTAX_ERROR, NOT_IMPLEMENTED, TABLE_NOT_FOUND, COLUMN_NOT_FOUND,
 * COLUMN_AMBIGUOUS, FUNCTION_NOT_FOUND, TYPE_MISMATCH, AGGREGATE_MISUSE, INVALID_OPERATION, PARAMETER_COUNT_MISMATCH and those of values.
 */
export function planGeneral(text: string, request: GeneralRequest): GeneralPlan {
  const { plan, unit, place } = startPlan(text, request);
  const select = unit.at(undefined, () => parseSelect(text, unit.source));
  const query = shownQuery(
    unit.at(undefined, () => shallow(() => writeQuery(select, place, { top: true }))),
    plan,
  );
  return {
    kind: 'general',
    text: query.text,
    sources: plan.sources,
    parameters: [],
    outputs: generalOutputs(query.outputs),
    mentionsUser: plan.mentionsUser,
    limited: select.limitCount !== undefined,
  };
}

/** Runs `work`; set operations nest as deep as they are many, and the stack is what bounds them. */
export function shallow<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw kalamError('INVALID_OPERATION', { reason: 'the query is nested too deeply' }, { cause: error });
  }
}
