import { type Cell, KalamError, kalamError, type Row, type Timers, uuidV7 } from '@kalamdb/protocol';
import type { Compiled, InputRow, InsertPlan, SelectPlan, Statement, StatementCompiler, TableInfo } from '@kalamdb/sql';
import { type Grant, grantFor, type TableAction } from '../access/grant.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Principal, StatementResult } from '../contract.ts';
import { executeSelect } from '../read/execute-select.ts';
import type { QueryRunner } from '../read/query-runner.ts';
import type { StatementText } from '../read/scan-messages.ts';
import type { Transactions } from '../transaction/transactions.ts';
import { deleteRows } from '../write/delete.ts';
import { insertRows } from '../write/insert.ts';
import { updateRows } from '../write/update.ts';
import { StalePlan, type WriteContext } from '../write/write-context.ts';
import type { WriteTarget } from '../write/write-target.ts';
import { type EvaluationSources, evaluationFor } from './evaluation.ts';
import { refuseHiddenTables } from './hidden-tables.ts';
import { impersonated } from './impersonation.ts';
import { OpenRequest } from './open-request.ts';
import { isTransactionStatement, RequestTransaction } from './request-transaction.ts';

/** Times that a statement is planned again because its table changed under it. */
const REPLANS_MAX = 10;

/** The parts of the database that statements run on. */
export interface SessionServices {
  readonly catalog: Catalog;
  readonly compiler: StatementCompiler;
  /** Where statements outside of explicit transactions read and write. */
  readonly autocommit: WriteTarget;
  readonly transactions: Transactions;
  /** Runs every SELECT, and the scans of UPDATE and DELETE. */
  readonly queries: QueryRunner;
  readonly evaluation: EvaluationSources;
  readonly timers: Timers;
  /** Runs every statement that is not a plan: DDL, SHOW, users. */
  runStatement(statement: Statement, caller: StatementCaller): Promise<StatementResult>;
}

/** On whose behalf a statement runs, and where unqualified names are looked up. */
export interface StatementCaller {
  readonly principal: Principal;
  readonly namespace: string;
  /** The statement stands inside EXECUTE AS USER: SHARED tables can be read but not written. */
  readonly impersonating: boolean;
}

/** A statement's caller, and the transaction of its request. */
interface StatementContext extends StatementCaller {
  readonly transaction: RequestTransaction;
}

/** Settings of a session. */
export interface SessionOptions {
  /** Where unqualified names are looked up; `default` when absent. */
  readonly namespace?: string | undefined;
  /** Names the request in transactions and logs. */
  readonly requestId?: string | undefined;
  /** For the audit log. */
  readonly clientAddress?: string | undefined;
}

/** One caller's requests. It holds no resources between requests, so it needs no closing. */
export class Session {
  readonly #services: SessionServices;
  readonly #principal: Principal;
  readonly #requestId: string | undefined;
  #namespace: string;

  constructor(services: SessionServices, principal: Principal, options: SessionOptions = {}) {
    this.#services = services;
    this.#principal = principal;
    this.#requestId = options.requestId;
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

  /** A request whose texts come one after another, for callers inside the process. Whoever opens one ends it. */
  open(): OpenRequest {
    const { evaluation, timers, transactions } = this.#services;
    const { clock, random } = evaluation;
    const principal = this.#principal;
    const transaction = new RequestTransaction(transactions, () => `sql-req-${this.#requestId ?? uuidV7(clock, random)}`);
    const run = (text: string, parameters: readonly Cell[]): Promise<StatementResult> =>
      this.#run(text, parameters, { principal, namespace: this.#namespace, impersonating: false, transaction });
    return new OpenRequest({ principal, transaction, clock, timers, run });
  }

  async #run(text: string, parameters: readonly Cell[], caller: StatementContext): Promise<StatementResult> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#runOnce(text, parameters, caller);
      } catch (error) {
        if (!(error instanceof StalePlan)) throw error;
        if (attempt === REPLANS_MAX) throw kalamError('CONFLICT', { reason: 'the table kept changing while the statement was planned' });
      }
    }
  }

  async #runOnce(text: string, parameters: readonly Cell[], caller: StatementContext): Promise<StatementResult> {
    const { catalog } = this.#services;
    const compiled = this.#compile(text, parameters, caller);
    if ('plan' in compiled) return this.#runPlan(compiled, { text, namespace: caller.namespace, parameters }, caller);
    const { statement } = compiled;
    if (statement.kind === 'execute-as-user') {
      const { principal, sql } = impersonated(statement, caller.principal, catalog);
      return this.#run(sql, parameters, { ...caller, principal, impersonating: true });
    }
    const { transaction } = caller;
    if (isTransactionStatement(statement)) {
      if (caller.impersonating) throw kalamError('INVALID_INPUT', { reason: 'EXECUTE AS USER cannot wrap a transaction statement' });
      return transaction.run(statement, caller.principal.userId);
    }
    transaction.refuseDdl(statement);
    const result = await this.#services.runStatement(statement, caller);
    if (statement.kind === 'use-namespace') this.#namespace = statement.name.toLowerCase();
    return result;
  }

  #compile(text: string, parameters: readonly Cell[], { principal, namespace, transaction }: StatementContext): Compiled {
    const { catalog, compiler } = this.#services;
    try {
      return compiler.compile(text, { catalog, namespace, parameters });
    } catch (error) {
      refuseHiddenTables(compiler, catalog, { text, namespace, principal });
      if (error instanceof KalamError && error.code === 'SYSTEM_TABLE_WRITE') transaction.refuseTable({ kind: 'system' });
      throw error;
    }
  }

  async #runPlan({ plan, parameters }: Planned, statement: StatementText, caller: StatementContext): Promise<StatementResult> {
    const { principal, transaction } = caller;
    const target = transaction.current ?? this.#services.autocommit;
    const evaluation = evaluationFor(this.#services.evaluation, principal, parameters);
    if (plan.kind === 'select') {
      const found = this.#select(plan, principal, { evaluation, target, statement });
      const rows = found instanceof Promise ? await found : found;
      return { kind: 'rows', columns: plan.columns, rows, asUser: principal.userId };
    }
    if (caller.impersonating && plan.table.kind === 'shared') {
      throw kalamError('EXECUTE_AS_SHARED', { table: `${plan.table.namespace}:${plan.table.name}` });
    }
    transaction.refuseTable(plan.table);
    const context: WriteContext = {
      target,
      grant: this.#grant(plan.table, principal, plan.kind),
      evaluation,
      queries: this.#services.queries,
    };
    switch (plan.kind) {
      case 'insert':
        return dmlResult('insert', await this.#insert(plan, context, principal), principal);
      case 'update':
        return dmlResult('update', await updateRows(context, plan), principal);
      case 'delete':
        return dmlResult('delete', await deleteRows(context, plan), principal);
      default:
        return plan satisfies never;
    }
  }

  async #insert(plan: InsertPlan, context: WriteContext, principal: Principal): Promise<number> {
    const selected = plan.source === undefined ? undefined : await this.#select(plan.source, principal, context);
    return insertRows(context, plan, selected);
  }

  #select(plan: SelectPlan, principal: Principal, reading: Reading): readonly Row[] | Promise<readonly Row[]> {
    const { evaluation, target, statement } = reading;
    if (plan.table === undefined) return executeSelect(plan, [NO_ROW], evaluation);
    const grant = this.#grant(plan.table, principal, 'select');
    const computed = this.#services.catalog.provider(grant.table.id);
    if (computed !== undefined) return executeSelect(plan, computed.rows(principal), evaluation);
    const open = target === this.#services.autocommit ? undefined : () => target.open();
    const assertCurrent = (): void => this.#assertCurrent(grant.table);
    return this.#services.queries.select({ plan, grant, evaluation, open, statement, assertCurrent });
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

type Planned = Extract<Compiled, { kind: 'plan' }>;

/** What a SELECT runs with beside its plan. */
interface Reading extends Pick<WriteContext, 'evaluation' | 'target'> {
  /** The text of the plan; absent for a SELECT inside another statement. */
  readonly statement?: StatementText;
}

/** What a SELECT without FROM reads. */
const NO_ROW: InputRow = { cells: [], seq: 0n, deleted: false };

const DML_VERBS = { insert: 'Inserted', update: 'Updated', delete: 'Deleted' } as const;

function dmlResult(dml: 'insert' | 'update' | 'delete', rowCount: number, principal: Principal): StatementResult {
  return { kind: 'message', message: `${DML_VERBS[dml]} ${rowCount} row(s)`, rowCount, dml, asUser: principal.userId };
}
