import { type Cell, KalamError, kalamError, type Row, type Timers, uuidV7 } from '@kalamdb/protocol';
import type {
  Compiled,
  DeletePlan,
  GeneralPlan,
  GeneralWritePlan,
  InputRow,
  InsertPlan,
  SelectPlan,
  Statement,
  StatementCompiler,
  TableInfo,
  UpdatePlan,
} from '@kalamdb/sql';
import type { PartitionId } from '@kalamdb/storage';
import type { AuditTrail } from '../access/audit-trail.ts';
import { type Grant, grantFor, isAdmin, type TableAction } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { ColdReader } from '../cold/cold-reader.ts';
import type { Principal, StatementAnswer, StatementResult } from '../contract.ts';
import { ColdRowsNeeded } from '../partition/cold-rows.ts';
import { StaleLayout } from '../partition/row-layout.ts';
import { executeSelect } from '../read/execute-select.ts';
import type { GeneralExecutor } from '../read/general/general-executor.ts';
import type { GeneralRequest } from '../read/general/general-request.ts';
import type { QueryReport } from '../read/general/query-messages.ts';
import { type FoundRows, isStream, type QueryRunner } from '../read/query-runner.ts';
import { answerRowsMax, limitedPlan, NO_ROW_LIMITS, type RowLimits } from '../read/row-limits.ts';
import type { StatementText } from '../read/scan-messages.ts';
import { type OpenSource, selectRowsSteps } from '../read/select-steps.ts';
import type { Transactions } from '../transaction/transactions.ts';
import type { Autocommit } from '../write/autocommit.ts';
import { deleteRows } from '../write/delete.ts';
import { insertRows } from '../write/insert.ts';
import { updateRows } from '../write/update.ts';
import { StalePlan, type WriteContext } from '../write/write-context.ts';
import type { RaceCounts } from '../write/write-target.ts';
import { coldPlan } from './cold-route.ts';
import { type EvaluationSources, evaluationFor, withParameters } from './evaluation.ts';
import { type ExplainStatement, explainedQuery, explanation } from './explain.ts';
import { explainedPartitions } from './explained-storage.ts';
import { generalStatementPlan, grantedSources, wantsGeneral } from './general-select.ts';
import { runGeneralWrite } from './general-write.ts';
import { refuseHiddenTables } from './hidden-tables.ts';
import { impersonated } from './impersonation.ts';
import { batchedAnswer, ViewBatches } from './long-answer.ts';
import { OpenRequest } from './open-request.ts';
import { LONG_TEXT_UNITS, type RequestLimits } from './request.ts';
import { isTransactionStatement, RequestTransaction } from './request-transaction.ts';
import { countedRows, type StatementRecord } from './statement-record.ts';
import { VIEWS_DEEP_MAX, viewPlan } from './view-query.ts';
import { writeResult } from './write-result.ts';

/** Times that a statement is planned again because its table changed under it. */
const REPLANS_MAX = 10;

/** The parts of the database that statements run on. */
export interface SessionServices {
  readonly catalog: Catalog;
  readonly compiler: StatementCompiler;
  /** Where statements outside of explicit transactions read and write. */
  readonly autocommit: Autocommit;
  /** Told by statements that write what the general executor has computed. */
  readonly races: RaceCounts;
  readonly transactions: Transactions;
  /** Reads the rows of segments; absent: there is no cold tier. */
  readonly cold?: ColdReader | undefined;
  /** Runs every SELECT, and the scans of UPDATE and DELETE. */
  readonly queries: QueryRunner;
  /** Runs the queries that have no plan of ours: joins, subqueries, set operations. */
  readonly general: GeneralExecutor;
  readonly evaluation: EvaluationSources;
  readonly timers: Timers;
  readonly audit: Pick<AuditTrail, 'note'>;
  readonly requestLimits: RequestLimits;
  readonly rowLimits: RowLimits;
  /** Whether anybody subscribes to a partition. */
  readonly isHeard: (partition: PartitionId) => boolean;
  /** Told of each statement that ran. It must not throw. */
  readonly onStatement: ((record: StatementRecord) => void) | undefined;
  /** Runs every statement that is not a plan: DDL, SHOW, users. */
  runStatement(statement: Statement, caller: StatementCaller): Promise<StatementResult>;
}

/** On whose behalf a statement runs, and where unqualified names are looked up. */
export interface StatementCaller {
  readonly principal: Principal;
  readonly namespace: string;
  /** The statement stands inside EXECUTE AS USER: SHARED tables can be read but not written. */
  readonly impersonating: boolean;
  /** Where the request came from, for the audit log. */
  readonly clientAddress?: string | undefined;
}

/** A statement's caller, and the transaction of its request. */
interface StatementContext extends StatementCaller {
  readonly transaction: RequestTransaction;
  /** The rows of a long answer may be a stream. */
  readonly streams: boolean;
  /** Told what a general query took. */
  readonly report?: GeneralRequest['report'];
}

/** Settings of a session. */
export interface SessionOptions {
  /** Where unqualified names are looked up; `default` when absent. */
  readonly namespace?: string | undefined;
  /** Names the request in transactions and logs. */
  readonly requestId?: string | undefined;
  /** For the audit log. */
  readonly clientAddress?: string | undefined;
  /** Ends SELECTs that read for long when nobody waits for their answer any more. Asked only by those. */
  readonly signal?: (() => AbortSignal) | undefined;
  /** Statements that write name their commits. */
  readonly namesCommits?: boolean | undefined;
}

/** One caller's requests. It holds no resources between requests, so it needs no closing. */
export class Session {
  readonly #services: SessionServices;
  readonly #principal: Principal;
  readonly #requestId: string | undefined;
  readonly #clientAddress: string | undefined;
  readonly #signal: (() => AbortSignal) | undefined;
  readonly #namesCommits: boolean;
  #namespace: string;

  constructor(services: SessionServices, principal: Principal, options: SessionOptions = {}) {
    this.#services = services;
    this.#principal = principal;
    this.#requestId = options.requestId;
    this.#clientAddress = options.clientAddress;
    this.#signal = options.signal;
    this.#namesCommits = options.namesCommits ?? false;
    this.#namespace = options.namespace ?? 'default';
  }

  /**
   * Runs the statements of one request in order and stops at the first error. Parameters are for `$1 … $n` of a request
   * with one statement. Throws KalamError when the request is refused as a whole (nothing ran), StatementError when a
   * statement failed (those before it stay applied, but for those of its transaction), and TRANSACTION_LEFT_OPEN.
   */
  execute(sql: string, parameters: readonly Cell[] = []): Promise<readonly StatementResult[]> {
    return this.open().executeLast(sql, parameters);
  }

  /** {@link execute} for a caller that reads a long answer of the last statement as a stream; whoever gets one closes it. */
  answer(sql: string, parameters: readonly Cell[] = []): Promise<readonly StatementAnswer[]> {
    return this.open().answerLast(sql, parameters);
  }

  /** A request whose texts come one after another, for callers inside the process. Whoever opens one ends it. */
  open(): OpenRequest {
    const { evaluation, timers, transactions, queries, requestLimits: limits, onStatement } = this.#services;
    const { clock, random } = evaluation;
    const principal = this.#principal;
    const owner = (): string => `sql-req-${this.#requestId ?? uuidV7(clock, random)}`;
    const transaction = new RequestTransaction(transactions, { owner, namesCommits: this.#namesCommits });
    const run = (text: string, parameters: readonly Cell[], streams: boolean): Promise<StatementAnswer> =>
      this.#run(text, parameters, {
        principal,
        namespace: this.#namespace,
        impersonating: false,
        clientAddress: this.#clientAddress,
        transaction,
        streams,
      });
    return new OpenRequest({ principal, transaction, clock, timers, limits, queries, requestId: this.#requestId, onStatement, run });
  }

  async #run(text: string, parameters: readonly Cell[], caller: StatementContext): Promise<StatementAnswer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#runOnce(text, parameters, caller);
      } catch (error) {
        if (!(error instanceof StalePlan || error instanceof StaleLayout || error instanceof ColdRowsNeeded)) throw error;
        if (attempt === REPLANS_MAX) throw kalamError('CONFLICT', { reason: 'the table kept changing while the statement was planned' });
      }
    }
  }

  #runOnce(text: string, parameters: readonly Cell[], caller: StatementContext): Promise<StatementAnswer> {
    if (text.length <= LONG_TEXT_UNITS) return this.#runCompiled(this.#compile(text, parameters, caller), { text, parameters }, caller);
    return this.#compileLong(text, parameters, caller).then((compiled) => this.#runCompiled(compiled, { text, parameters }, caller));
  }

  #runCompiled(compiled: Prepared, { text, parameters }: StatementSource, caller: StatementContext): Promise<StatementAnswer> {
    const { catalog, rowLimits } = this.#services;
    if (compiled.kind === 'general') return this.#runGeneral(compiled, caller);
    if (compiled.kind === 'general-change' || compiled.kind === 'general-insert')
      return this.#runGeneralWrite(compiled, parameters, caller);
    if ('plan' in compiled) return this.#runPlan(compiled, { text, namespace: caller.namespace, parameters, rowLimits }, caller);
    const { statement } = compiled;
    if (statement.kind === 'execute-as-user') {
      const { principal, sql } = impersonated(statement, caller, { catalog, audit: this.#services.audit });
      return this.#run(sql, parameters, { ...caller, principal, impersonating: true });
    }
    if (statement.kind === 'explain') return this.#explain(statement, parameters, caller);
    if (statement.kind === 'set-option') return Promise.resolve({ kind: 'rows', columns: [], rows: [], asUser: caller.principal.userId });
    const { transaction } = caller;
    if (isTransactionStatement(statement)) {
      if (caller.impersonating) throw kalamError('INVALID_INPUT', { reason: 'EXECUTE AS USER cannot wrap a transaction statement' });
      return transaction.run(statement, caller.principal.userId);
    }
    transaction.refuseDdl(statement);
    return this.#runStatement(statement, caller);
  }

  /** EXPLAIN names what would run and what it would read; with ANALYZE it runs it first. */
  async #explain({ inner, analyze }: ExplainStatement, parameters: readonly Cell[], caller: StatementContext): Promise<StatementResult> {
    const { principal } = caller;
    const { clock } = this.#services.evaluation;
    if (!isAdmin(principal.role)) throw kalamError('ADMIN_REQUIRED', { what: 'EXPLAIN commands' });
    const begin = clock.elapsed();
    const { namespace, transaction } = caller;
    const { catalog, cold, queries, autocommit, rowLimits } = this.#services;
    const found = this.#compile(inner, parameters, caller);
    const routed = found.kind === 'plan' && transaction.current === undefined;
    const compiled =
      (routed ? coldPlan(found.plan, { text: inner, namespace, parameters, rowLimits }, principal, this.#services) : undefined) ?? found;
    const planMillis = clock.elapsed() - begin;
    const explained = explainedQuery(compiled);
    const { writes } = explained;
    if (writes !== undefined) this.#grant(writes.table, principal, writes.verb);
    for (const table of explained.tables) if (table.kind !== 'view') this.#grant(table, principal, 'select');
    const evaluation = (): WriteContext['evaluation'] =>
      evaluationFor(this.#services.evaluation, principal, compiled.kind === 'plan' ? compiled.parameters : parameters);
    const open = (): OpenSource => (transaction.current ?? autocommit).open();
    const partitions = await explainedPartitions(explained.tables, { catalog, cold, queries, principal, compiled, evaluation, open });
    const start = clock.elapsed();
    const reports: QueryReport[] = [];
    const watched = { ...caller, streams: transaction.current === undefined, report: (report: QueryReport) => void reports.push(report) };
    const rows = analyze ? await countedRows(await this.#runCompiled(compiled, { text: inner, parameters }, watched)) : 0;
    const run = analyze ? { rows, planMillis, runMillis: clock.elapsed() - start, report: reports[0] } : undefined;
    return explanation(explained, principal, { run, partitions });
  }

  async #runStatement(statement: Statement, caller: StatementContext): Promise<StatementResult> {
    const result = await this.#services.runStatement(statement, caller);
    if (statement.kind === 'use-namespace') this.#namespace = statement.name.toLowerCase();
    return result;
  }

  #compile(text: string, parameters: readonly Cell[], caller: StatementContext): Prepared {
    const { catalog, compiler } = this.#services;
    try {
      return compiler.compile(text, { catalog: catalog.relations, namespace: caller.namespace, parameters });
    } catch (error) {
      return this.#general(error, { text, parameters }, caller);
    }
  }

  async #compileLong(text: string, parameters: readonly Cell[], caller: StatementContext): Promise<Prepared> {
    const { catalog, compiler, queries } = this.#services;
    try {
      return await queries.run(compiler.compileSteps(text, { catalog: catalog.relations, namespace: caller.namespace, parameters }));
    } catch (error) {
      return this.#general(error, { text, parameters }, caller);
    }
  }

  /** The plan of a statement that needs the general executor. Throws what its caller is told of any other text that could not be compiled. */
  #general(error: unknown, { text, parameters }: StatementSource, caller: StatementContext): GeneralPlan | GeneralWritePlan {
    if (!wantsGeneral(error, text)) throw this.#refusal(error, text, caller);
    const { namespace, principal } = caller;
    const { evaluation, catalog } = this.#services;
    const { nowMicros } = evaluationFor(evaluation, principal, []);
    try {
      return generalStatementPlan(catalog, { text, namespace, parameters, principal, nowMicros, ids: evaluation.ids });
    } catch (refused) {
      refuseSystemTable(refused, caller);
      throw refused;
    }
  }

  /** Runs a general query; as all others it reads at one snapshot, or in its transaction. */
  async #runGeneral(plan: GeneralPlan, { principal, transaction, streams, report }: StatementContext): Promise<StatementAnswer> {
    const { catalog, general, autocommit, rowLimits } = this.#services;
    const target = transaction.current ?? autocommit;
    const sources = grantedSources(catalog, plan, principal);
    const assertAll = (): void => {
      for (const { grant } of sources) this.#assertCurrent(grant.table);
    };
    const open = (): OpenSource => {
      assertAll();
      return target.open();
    };
    const assertCurrent = transaction.current === undefined ? assertAll : undefined;
    const rowsMax = answerRowsMax(rowLimits, plan.limited);
    const request = { plan, sources, principal, open, assertCurrent, rowsMax, report };
    if (streams) {
      const stream = await general.stream(request, this.#signal?.());
      return batchedAnswer(stream.columns, stream, principal.userId);
    }
    const { columns, rows } = await general.run(request, this.#signal?.());
    return { kind: 'rows', columns, rows, asUser: principal.userId };
  }

  /** What a caller is told of a text that could not be compiled. */
  #refusal(error: unknown, text: string, caller: StatementContext): unknown {
    const { catalog, compiler } = this.#services;
    const { principal, namespace } = caller;
    refuseHiddenTables(compiler, catalog, { text, namespace, principal });
    refuseSystemTable(error, caller);
    return error;
  }

  async #runPlan({ plan, parameters }: Planned, statement: StatementText, caller: StatementContext): Promise<StatementAnswer> {
    const { principal, transaction } = caller;
    const target = transaction.current ?? this.#services.autocommit;
    const evaluation = evaluationFor(this.#services.evaluation, principal, parameters);
    if (plan.kind === 'select') {
      if (plan.table?.kind === 'view') return this.#runOnView(plan, { evaluation, target, statement }, caller);
      const general = transaction.current === undefined ? coldPlan(plan, statement, principal, this.#services) : undefined;
      if (general !== undefined) return this.#runGeneral(general, caller);
      const { streams } = caller;
      const found = this.#select(limitedPlan(plan, statement.rowLimits), principal, { evaluation, target, statement, streams });
      return answerOf(plan, found instanceof Promise ? await found : found, principal);
    }
    const context = this.#writing(plan, parameters, caller);
    switch (plan.kind) {
      case 'insert':
        return this.#insert(plan, context, { statement, caller });
      case 'update':
        return writeResult(plan, await updateRows(context, plan), principal);
      case 'delete':
        return writeResult(plan, await deleteRows(context, plan), principal);
      default:
        return plan satisfies never;
    }
  }

  /** A query over a view is a general one when the view's own is. */
  async #runOnView(
    plan: SelectPlan,
    reading: Reading & { readonly statement: StatementText },
    caller: StatementContext,
  ): Promise<StatementAnswer> {
    const { statement } = reading;
    const { principal, streams } = caller;
    try {
      const found = await this.#select(limitedPlan(plan, statement.rowLimits), principal, { ...reading, streams });
      return await answerOf(plan, found, principal);
    } catch (error) {
      if (!wantsGeneral(error, statement.text)) throw error;
      return this.#runCompiled(this.#general(error, statement, caller), statement, caller);
    }
  }

  /** INSERT … SELECT from a view whose own query is a general one is one too. */
  async #insert(
    plan: InsertPlan,
    context: WriteContext,
    { statement, caller }: { readonly statement: StatementText; readonly caller: StatementContext },
  ): Promise<StatementAnswer> {
    const { principal } = caller;
    let selected: readonly Row[] | undefined;
    try {
      selected = plan.source === undefined ? undefined : heldRows(await this.#select(plan.source, principal, context));
    } catch (error) {
      if (!wantsGeneral(error, statement.text)) throw error;
      return this.#runCompiled(this.#general(error, statement, caller), statement, caller);
    }
    return writeResult(plan, await insertRows(context, plan, selected), principal);
  }

  /** Runs a statement that writes and needs the general executor. */
  async #runGeneralWrite(plan: GeneralWritePlan, parameters: readonly Cell[], caller: StatementContext): Promise<StatementResult> {
    const { principal, transaction } = caller;
    const kind = plan.kind === 'general-insert' ? 'insert' : plan.verb;
    const { table, returning } = plan;
    const written = await runGeneralWrite(this.#services, plan, {
      principal,
      context: this.#writing({ kind, table, returning }, parameters, caller),
      isCommit: transaction.current === undefined,
      signal: this.#signal?.(),
      assertCurrent: (found) => this.#assertCurrent(found),
    });
    return writeResult({ kind, returning }, written, principal);
  }

  /** What a statement writes with. Throws EXECUTE_AS_SHARED, TRANSACTION_TABLE_KIND and ACCESS_DENIED. */
  #writing({ kind, table, returning }: WritingPlan, parameters: readonly Cell[], caller: StatementContext): WriteContext {
    const { principal, transaction, impersonating } = caller;
    const { autocommit, evaluation, queries, races, isHeard, cold } = this.#services;
    if (impersonating && table.kind === 'shared') throw kalamError('EXECUTE_AS_SHARED', { table: `${table.namespace}:${table.name}` });
    transaction.refuseTable(table);
    const grant = this.#grant(table, principal, kind);
    if (returning !== undefined) this.#grant(table, principal, 'select');
    const target = transaction.writeTarget(autocommit);
    return { target, grant, evaluation: evaluationFor(evaluation, principal, parameters), queries, races, isHeard, cold };
  }

  #select(plan: SelectPlan, principal: Principal, reading: Reading): FoundRows | Promise<FoundRows> {
    const { evaluation, target, statement } = reading;
    if (plan.table === undefined) return executeSelect(plan, [NO_ROW], evaluation);
    if (plan.table.kind === 'view') return this.#selectView({ plan, table: plan.table }, principal, reading);
    const grant = this.#grant(plan.table, principal, 'select');
    const computed = this.#services.catalog.provider(grant.table.id);
    if (computed !== undefined) return executeSelect(plan, computed.rows(principal, demandedTexts(plan, evaluation)), evaluation);
    const isNow = target === this.#services.autocommit;
    const held =
      isNow && plan.demanded.length > 0 ? this.#services.catalog.heldRows(grant.table, demandedTexts(plan, evaluation)) : undefined;
    if (held !== undefined) return executeSelect(plan, held, evaluation);
    const open = isNow ? undefined : () => target.open();
    const assertCurrent = (): void => this.#assertCurrent(grant.table);
    const { queries } = this.#services;
    const request = { plan, grant, evaluation, open, statement, assertCurrent, signal: this.#signal };
    return reading.streams === true ? queries.stream(request) : queries.select(request);
  }

  /** Runs the view's query as the reader, at the same time and in the same transaction, and the plan over its rows. */
  async #selectView(
    { plan, table }: { readonly plan: SelectPlan; readonly table: TableInfo },
    principal: Principal,
    reading: Reading,
  ): Promise<FoundRows> {
    const { catalog, queries } = this.#services;
    const view = catalog.viewById(table.id);
    if (view === undefined || view.info !== table) throw new StalePlan();
    const viewsDeep = (reading.viewsDeep ?? 0) + 1;
    const name = `${table.namespace}.${table.name}`;
    if (viewsDeep > VIEWS_DEEP_MAX)
      throw kalamError('VIEW_BROKEN', { view: name, reason: `more than ${VIEWS_DEEP_MAX} views in each other` });
    const { plan: inner, parameters } = viewPlan(this.#services, view);
    const { query: text, queryNamespace: namespace } = view.record;
    const found = await this.#select(inner, principal, {
      evaluation: withParameters(reading.evaluation, parameters),
      target: reading.target,
      statement: { text, namespace, parameters: [], rowLimits: NO_ROW_LIMITS },
      viewsDeep,
      streams: reading.streams === true,
    });
    const { evaluation } = reading;
    return isStream(found)
      ? new ViewBatches({ plan, evaluation, source: found, queries })
      : queries.run(selectRowsSteps(plan, found, evaluation));
  }

  #assertCurrent(table: TableInfo): void {
    if (this.#services.catalog.tableById(table.id) !== table) throw new StalePlan();
  }

  #grant(info: TableInfo, principal: Principal, action: TableAction): Grant {
    const table = this.#services.catalog.tableById(info.id);
    if (table === undefined || table !== info) throw new StalePlan();
    return grantFor(principal, table, action);
  }
}

/** A statement as it was sent. */
type StatementSource = Pick<StatementText, 'text' | 'parameters'>;

/** A statement as one of the two executors runs it, or none. */
type Prepared = Compiled | GeneralPlan | GeneralWritePlan;

/** A statement that writes, as far as its grant goes. */
type WritingPlan = Pick<InsertPlan | UpdatePlan | DeletePlan, 'kind' | 'table' | 'returning'>;

/** A transaction says first that it takes no such table. */
function refuseSystemTable(error: unknown, { transaction }: StatementContext): void {
  if (error instanceof KalamError && error.code === 'SYSTEM_TABLE_WRITE') transaction.refuseTable({ kind: 'system' });
}

type Planned = Extract<Compiled, { kind: 'plan' }>;

/** What a SELECT runs with beside its plan. */
interface Reading extends Pick<WriteContext, 'evaluation' | 'target'> {
  /** The text of the plan; absent for a SELECT inside another statement. */
  readonly statement?: StatementText;
  /** Views that the SELECT stands in. */
  readonly viewsDeep?: number;
  /** The rows may be a stream. */
  readonly streams?: boolean;
}

function answerOf({ columns }: SelectPlan, found: FoundRows, { userId: asUser }: Principal): StatementAnswer | Promise<StatementAnswer> {
  return isStream(found) ? batchedAnswer(columns, found, asUser) : { kind: 'rows', columns, rows: found, asUser };
}

/** The rows of a SELECT that was not to be a stream. */
function heldRows(found: FoundRows): readonly Row[] {
  if (isStream(found)) throw kalamError('INTERNAL_ERROR', { reason: 'the source of a write was read as a stream' });
  return found;
}

/** What a SELECT without FROM reads. */
const NO_ROW: InputRow = { cells: [], seq: 0n, deleted: false };

function demandedTexts({ demanded }: SelectPlan, evaluation: WriteContext['evaluation']): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { column, text } of demanded) {
    const found = text(evaluation);
    if (found !== undefined) texts.set(column, found);
  }
  return texts;
}
