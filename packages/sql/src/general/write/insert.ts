import { type Cell, type DataType, duckdbType, KalamError, kalamError } from '@kalamdb/protocol';
import type { InsertStmt, Node, SelectStmt } from 'libpg-query';
import type { ColumnInfo, EvalContext } from '../../expression/input-row.ts';
import { operation, type Typed } from '../../expression/typed.ts';
import { convertInsert, refusedInInsert } from '../../parser/postgres/writes.ts';
import { bindConflict, checkConflict } from '../../plan/conflict.ts';
import {
  bindTarget,
  type CellBinder,
  compiledCells,
  defaultsPlan,
  type InsertStatement,
  type InsertTarget,
  selectedPlan,
  valuesPlan,
} from '../../plan/insert.ts';
import type { ConflictPlan, InsertPlan } from '../../plan/plans.ts';
import { quoteName } from '../duckdb-text.ts';
import type { GeneralPlan } from '../general-plan.ts';
import { needsGeneral } from '../needs-general.ts';
import { generalOutputs } from '../plan-general.ts';
import type { Place } from '../scope.ts';
import { shownQuery } from '../shown-query.ts';
import { assignedPiece } from './assigned-piece.ts';
import { planConflict } from './conflict.ts';
import { refuse, type WrittenStatement, withTables } from './statement-parts.ts';
import type { GeneralConflict, GeneralInsertPlan } from './write-plan.ts';

/** What is wrong with a value as written, whatever it is for. */
const VALUE_ERRORS: ReadonlySet<string> = new Set(['INVALID_TEXT', 'VALUE_OUT_OF_RANGE', 'EMBEDDING_DIMENSION']);

/** Values of one INSERT that the general executor computes: each is a column of one query. */
const COMPUTED_VALUES_MAX = 1000;

/**
 * Plans an INSERT that the compiled executor does not run as a whole: its rows, single values of VALUES or DO UPDATE are left to the general one.
 * Throws what the compiled binder throws of an INSERT, and what the queries throw.
 */
export function planInsert(insert: InsertStmt, statement: WrittenStatement): GeneralInsertPlan {
  const { request, converter } = statement;
  const converted = convertInsert(converter, insert);
  if (converted.kind !== 'insert') throw kalamError('INTERNAL_ERROR', { reason: 'an INSERT that is none' });
  refuse(refusedInInsert(converter, insert), statement);
  const bound = bindTarget({ ...converted, unsupported: undefined, onConflict: undefined }, request);
  const { plan: own, general: conflict } = conflictOf(insert, { converted, bound }, statement);
  const target = { ...bound, conflict: own };
  const { table, returning } = target;
  const common = { kind: 'general-insert', table, mayConflict: own !== undefined, conflict, returning } as const;
  const { source } = converted;
  if (source.kind === 'select') {
    const { query, types } = selectSource(insert, statement);
    const plan = (found: readonly DataType[]): InsertPlan => selectedPlan(target, found);
    plan(types);
    return { ...common, source: { kind: 'rows', query, plan } };
  }
  const values = new ComputedValues(insert, statement);
  const plan = source.kind === 'values' ? valuesPlan(target, source.rows, values.bind) : defaultsPlan(target);
  return { ...common, source: { kind: 'values', query: values.query(), plan } };
}

function conflictOf(
  insert: InsertStmt,
  { converted, bound: { table } }: { readonly converted: InsertStatement; readonly bound: InsertTarget },
  statement: WrittenStatement,
): { readonly plan: ConflictPlan | undefined; readonly general: GeneralConflict | undefined } {
  const { request } = statement;
  const clause = converted.onConflict;
  const source = { table, alias: converted.alias };
  try {
    return { plan: bindConflict(clause, source, request), general: undefined };
  } catch (error) {
    if (!needsGeneral(error) || clause === undefined || insert.onConflictClause === undefined) throw error;
    checkConflict(clause, source, request);
    return { plan: { kind: 'general' }, general: planConflict(insert, insert.onConflictClause, source, statement) };
  }
}

function selectSource(
  insert: InsertStmt,
  statement: WrittenStatement,
): { readonly query: GeneralPlan; readonly types: readonly DataType[] } {
  const { plan, unit, place: top } = statement.start();
  const select = insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined;
  if (select === undefined) return unit.missing('an empty query', undefined);
  const { before, place } = withTables(insert.withClause, top);
  const query = shownQuery(place.writer.query(select, place, { top: true }), plan);
  // Two WITH clauses cannot follow each other.
  const isApart = before !== '' && select.withClause !== undefined;
  const text = isApart ? `${before}SELECT * FROM (${query.text}) AS ${quoteName(plan.fresh('q'))}` : `${before}${query.text}`;
  const outputs = generalOutputs(query.outputs);
  const types = outputs.map(({ type, name }) => {
    if (type !== undefined) return type;
    throw kalamError('COERCION_FAILED', { reason: `column '${name}' of the query has a type that no column can hold` });
  });
  const { sources, mentionsUser } = plan;
  return { query: { kind: 'general', text, sources, parameters: [], outputs, mentionsUser, limited: false }, types };
}

/** The values of VALUES that the compiled executor does not run, as one query of one row. */
class ComputedValues {
  readonly #statement: WrittenStatement;
  readonly #started: ReturnType<WrittenStatement['start']>;
  readonly #before: string;
  readonly #place: Place;
  readonly #nodes: readonly (readonly Node[])[];
  readonly #compiled: CellBinder;
  readonly #texts: string[] = [];
  readonly #outputs: { name: string; column: undefined; type: DataType }[] = [];

  constructor(insert: InsertStmt, statement: WrittenStatement) {
    this.#statement = statement;
    this.#started = statement.start();
    const { before, place } = withTables(insert.withClause, this.#started.place);
    this.#before = before;
    this.#place = { ...place, noAggregates: 'VALUES' };
    const select: SelectStmt | undefined =
      insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined;
    this.#nodes = (select?.valuesLists ?? []).map((list) => ('List' in list ? (list.List.items ?? []) : []));
    this.#compiled = compiledCells(statement.request);
  }

  /** Binds a value: one that is computed comes behind the client's parameters. One that its column cannot hold fails when it is evaluated. */
  readonly bind: CellBinder = (value, column, at) => {
    try {
      return this.#compiled(value, column, at);
    } catch (error) {
      if (needsGeneral(error)) return this.#computed(error, column, { ...at, position: value.position });
      if (!(error instanceof KalamError) || !VALUE_ERRORS.has(error.code)) throw error;
      return this.#later(column, value.position, () => {
        throw error;
      });
    }
  };

  #computed(error: unknown, column: ColumnInfo, { row, index, position }: { row: number; index: number; position: number }): Typed {
    const node = this.#nodes[row]?.[index];
    if (node === undefined) throw error;
    const place = this.#place;
    const { text, type, convert } = place.unit.near(node, () => assignedPiece(place.writer.expression(node, place), column, place));
    const parameter = this.#add(text, type);
    return this.#later(column, position, ({ parameters }) => {
      const cell = parameters[parameter] ?? null;
      return cell === null ? null : convert(cell);
    });
  }

  #later({ type }: ColumnInfo, position: number, evaluate: (context: EvalContext) => Cell): Typed {
    return operation({
      name: 'general',
      type,
      operands: [],
      position,
      stability: 'execution',
      build: () => (_row, context) => evaluate(context),
    });
  }

  /** What computes them; a WITH clause is looked at even when nothing asks for it. */
  query(): GeneralPlan | undefined {
    if (this.#texts.length === 0 && this.#before === '') return undefined;
    const { plan } = this.#started;
    const columns = this.#texts.length === 0 ? ['true AS "c0"'] : this.#texts;
    const text = `${this.#before}SELECT ${columns.join(', ')}`;
    const { sources, mentionsUser } = plan;
    return { kind: 'general', text, sources, parameters: [], outputs: this.#outputs, mentionsUser, limited: false };
  }

  #add(text: string, type: DataType): number {
    const at = this.#texts.length;
    if (at === COMPUTED_VALUES_MAX) {
      throw kalamError('INVALID_OPERATION', { reason: `an INSERT holds at most ${COMPUTED_VALUES_MAX} values with subqueries` });
    }
    const name = `c${at}`;
    this.#texts.push(`CAST(${text} AS ${duckdbType(type)}) AS "${name}"`);
    this.#outputs.push({ name, column: undefined, type });
    return this.#statement.request.parameters.length + at;
  }
}
