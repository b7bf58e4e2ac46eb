import { type Cell, KalamError, kalamError } from '@kalamdb/protocol';
import { fractionDigits, type ParameterInfo } from '../expression/value.ts';
import { type LiftedStatement, liftLiterals, liftLiteralsSteps } from '../lexer/lift.ts';
import { readValuesList, readValuesListSteps, type ValuesList } from '../lexer/values-list.ts';
import { parseStatement } from '../parser/parse.ts';
import type { Statement } from '../statement/ast.ts';
import { type LiftedParameter, liftedParameter, parameterKinds } from './lifted-parameter.ts';
import type { Plan } from './plans.ts';
import { bindStatement, isPlanned, plannedTables } from './statement-binder.ts';
import type { CatalogView, TableInfo } from './table-info.ts';
import { ValuesForm } from './values-form.ts';
import { textsAreValid } from './where.ts';

/**
 * Statements whose text and parameters are larger than this (UTF-16 units) are compiled each time: a kept plan keeps its last
 * parameters. INSERTs of constants are not: what is kept for them holds no values, and this bounds only the names in them.
 */
const KEPT_UNITS_MAX = 64 * 1024;

/** What a statement is compiled with. */
export interface CompileRequest {
  readonly catalog: CatalogView;
  /** For tables named without one. */
  readonly namespace: string;
  /** The client's: null, boolean, bigint for integers, number for other numbers, string. */
  readonly parameters: readonly Cell[];
}

/** A statement ready to run: a plan with the values it takes, or a statement that has no plan. */
export type Compiled =
  | {
      readonly kind: 'plan';
      readonly plan: Plan;
      /** What EvalContext wants: the client's parameters, then the lifted literals that the plan reads. */
      readonly parameters: readonly Cell[];
    }
  | { readonly kind: 'statement'; readonly statement: Statement };

type Kept =
  | { readonly kind: 'plan'; readonly plan: Plan; readonly tables: readonly TableInfo[] }
  | { readonly kind: 'values'; readonly form: ValuesForm; readonly tables: readonly TableInfo[] };

/**
 * Turns texts into plans and keeps the most recently used ones. A plan is found by namespace, shape (the text without its
 * literals) and the kinds of all values; that of an INSERT of constants by what stands before them and their number in a row. It
 * is dropped when a table it was bound to is no longer the very object that the catalog gives.
 */
export class StatementCompiler {
  readonly #plansMax: number;
  /** In the order of last use. */
  readonly #kept: Map<string, Kept> = new Map();
  /** The key used last. */
  #newest: string | undefined;

  constructor(options: { readonly plansMax: number }) {
    this.#plansMax = options.plansMax;
  }

  /** Plans that are kept now. */
  get size(): number {
    return this.#kept.size;
  }

  /**
   * Compiles one statement. Throws SYNTAX_ERROR and UNSUPPORTED_STATEMENT, and for statements with a plan the errors of
   * binding (names, types, NOT_IMPLEMENTED), with their positions in `text`.
   */
  compile(text: string, request: CompileRequest): Compiled {
    const list = readValuesList(text, request.parameters);
    if (list === undefined) return this.#compileLifted(text, request, liftLiterals(text, request.parameters.length));
    return this.#compileValues(text, request, list);
  }

  /** {@link compile} of a long text: reading it is done in short steps. The rest is one, which for INSERTs of constants is short too. */
  *compileSteps(text: string, request: CompileRequest): Generator<undefined, Compiled> {
    const list = yield* readValuesListSteps(text, request.parameters);
    if (list !== undefined) return this.#compileValues(text, request, list);
    return this.#compileLifted(text, request, yield* liftLiteralsSteps(text, request.parameters.length));
  }

  #compileValues(text: string, request: CompileRequest, list: ValuesList): Compiled {
    request.parameters.forEach(clientParameter);
    const plan = this.#valuesForm(list, request)?.plan(list);
    return plan === undefined ? compileText(text, request) : { kind: 'plan', plan, parameters: request.parameters };
  }

  #compileLifted(text: string, request: CompileRequest, lifted: LiftedStatement): Compiled {
    const client = request.parameters;
    const literals = lifted.literals.map(liftedParameter);
    const parameters = literals.length === 0 ? client : [...client, ...literals.map((literal) => literal.cell)];
    const key = planKey(lifted.shape, request, literals);
    const keep = text.length + unitsOf(client) <= KEPT_UNITS_MAX;
    const kept = keep ? this.#find(key, request.catalog) : undefined;
    const plan = kept?.kind === 'plan' ? kept.plan : planShape(lifted, literals, request);
    if (plan === undefined) {
      const compiled = compileText(text, request);
      if (keep && compiled.kind === 'plan' && literals.length === 0) this.#keepPlan(key, compiled.plan);
      return compiled;
    }
    if (keep && kept === undefined) this.#keepPlan(key, plan);
    // Bound as it stands the text says where the wrong literal is; and it is wrong even if no row is ever compared with it.
    return textsAreValid(plan, parameters) ? { kind: 'plan', plan, parameters } : compileText(text, request);
  }

  /** `undefined`: the names in the statement are wrong; the text itself tells why, and where. */
  #valuesForm(list: ValuesList, request: CompileRequest): ValuesForm | undefined {
    const key = `${request.namespace}\n${list.width}\n${list.head}${list.tail === '' ? '' : `\n${list.tail}`}`;
    const kept = this.#find(key, request.catalog);
    if (kept?.kind === 'values') return kept.form;
    const form = bindForm(list, request);
    if (form !== undefined && key.length <= KEPT_UNITS_MAX) this.#keep(key, { kind: 'values', form, tables: [form.table] });
    return form;
  }

  #find(key: string, catalog: CatalogView): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (kept.tables.every((table) => catalog.table(table.namespace, table.name) === table)) {
      if (key !== this.#newest) this.#keep(key, kept);
      return kept;
    }
    this.#kept.delete(key);
    return undefined;
  }

  #keepPlan(key: string, plan: Plan): void {
    this.#keep(key, { kind: 'plan', plan, tables: plannedTables(plan) });
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    this.#newest = key;
    if (this.#kept.size <= this.#plansMax) return;
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#plansMax) break;
      this.#kept.delete(oldest);
    }
  }
}

/** Compiles the text as it stands. */
function compileText(text: string, request: CompileRequest): Compiled {
  const statement = parseStatement(text);
  if (!isPlanned(statement)) return { kind: 'statement', statement };
  const plan = bindStatement(statement, { ...request, text, parameters: request.parameters.map(clientParameter) });
  return { kind: 'plan', plan, parameters: request.parameters };
}

/** What `work` gives; `undefined` when the statement is wrong. */
function unlessRefused<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof KalamError) return undefined;
    throw error;
  }
}

function bindForm(list: ValuesList, request: CompileRequest): ValuesForm | undefined {
  return unlessRefused(() => {
    const text = `${list.head} (${Array.from({ length: list.width }, () => 'DEFAULT').join(', ')}) ${list.tail}`;
    const statement = parseStatement(text);
    return statement.kind === 'insert' ? ValuesForm.bind(statement, list.width, { ...request, text, parameters: [] }) : undefined;
  });
}

/** The plan of the text without its literals; `undefined` when that fails: then the text itself tells why, and where. */
function planShape(lifted: LiftedStatement, literals: readonly LiftedParameter[], request: CompileRequest): Plan | undefined {
  if (literals.length === 0) return undefined;
  return unlessRefused(() => {
    const statement = parseStatement(lifted.shape);
    if (!isPlanned(statement)) return undefined;
    const parameters = [...request.parameters.map(clientParameter), ...literals.map((literal) => literal.info)];
    return bindStatement(statement, { ...request, text: lifted.shape, parameters });
  });
}

/** What the binder has to know of a parameter; `index` is 0-based. Throws INVALID_PARAMETER. */
export function clientParameter(cell: Cell, index: number): ParameterInfo {
  switch (typeof cell) {
    case 'boolean':
      return { literal: 'boolean', scale: 0, client: true };
    case 'bigint':
      return { literal: 'integer', scale: 0, client: true };
    case 'number':
      return { literal: 'decimal', scale: fractionDigits(String(cell)), client: true };
    case 'string':
      return { literal: 'string', scale: 0, client: true };
    default:
      if (cell === null) return { literal: 'null', scale: 0, client: true };
      throw kalamError('INVALID_PARAMETER', { parameter: `$${index + 1}`, reason: 'only null, booleans, numbers and texts are accepted' });
  }
}

function planKey(shape: string, request: CompileRequest, literals: readonly LiftedParameter[]): string {
  const client = request.parameters.map((cell, index) => ({ info: clientParameter(cell, index) }));
  return `${request.namespace}\n${parameterKinds(client)}|${parameterKinds(literals)}\n${shape}`;
}

function unitsOf(parameters: readonly Cell[]): number {
  let units = 0;
  for (const cell of parameters) units += typeof cell === 'string' ? cell.length : 8;
  return units;
}
