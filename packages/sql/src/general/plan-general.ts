import { kalamError } from '@kalamdb/protocol';
import { parseSelect } from '../parser/postgres/postgres-parser.ts';
import { writeExpression } from './expressions.ts';
import type { GeneralPlan } from './general-plan.ts';
import { typeOf } from './piece.ts';
import { writeQuery } from './query.ts';
import type { Writer } from './scope.ts';
import { type GeneralRequest, Plan, Unit } from './unit.ts';

const WRITER: Writer = { expression: writeExpression, query: writeQuery };

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
  const plan = new Plan(request, text);
  const unit = new Unit(plan, text, { namespace: request.namespace, depth: 0 });
  const place = { writer: WRITER, unit, scopes: [], tables: undefined, noAggregates: undefined, windows: new Map(), mentioned: undefined };
  const select = unit.at(undefined, () => parseSelect(text, unit.source));
  const query = unit.at(undefined, () => shallow(() => writeQuery(select, place, { top: true })));
  return {
    kind: 'general',
    text: query.text,
    sources: plan.sources,
    parameters: [],
    outputs: query.outputs.map(({ name, piece: { shownAs, ...piece } }) => ({
      name,
      column: piece.column,
      type: typeOf(piece),
      ...(shownAs === undefined ? {} : { shownAs }),
    })),
    mentionsUser: plan.mentionsUser,
    limited: select.limitCount !== undefined,
  };
}

/** Set operations nest as deep as they are many; the stack is what bounds them. */
function shallow<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw kalamError('INVALID_OPERATION', { reason: 'the query is nested too deeply' }, { cause: error });
  }
}
