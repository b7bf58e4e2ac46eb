import type { DataType } from '@kalamdb/protocol';
import type { LiteralKind } from '../lexer/literal-value.ts';
import type { Position } from '../lexer/position.ts';

export type { LiteralKind, Position };

/** `[namespace.]name` as written, already folded to lower case unless it was double-quoted. */
export interface QualifiedName {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly position: Position;
}

/** An expression as parsed: names are not resolved, nothing is typed. */
export type Expression =
  | { readonly kind: 'literal'; readonly literal: LiteralKind; readonly text: string; readonly position: Position }
  /** `$n`, 1-based. The client's own parameters come first, lifted literals after them. */
  | { readonly kind: 'parameter'; readonly index: number; readonly position: Position }
  | { readonly kind: 'column'; readonly qualifier: readonly string[]; readonly name: string; readonly position: Position }
  | { readonly kind: 'unary'; readonly operator: 'not' | '-' | '+'; readonly operand: Expression; readonly position: Position }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly position: Position;
    }
  | {
      readonly kind: 'is';
      readonly what: 'null' | 'true' | 'false' | 'unknown';
      readonly negated: boolean;
      readonly operand: Expression;
      readonly position: Position;
    }
  | {
      readonly kind: 'distinct-from';
      readonly negated: boolean;
      readonly left: Expression;
      readonly right: Expression;
      readonly position: Position;
    }
  | {
      readonly kind: 'between';
      readonly negated: boolean;
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly position: Position;
    }
  | {
      readonly kind: 'in';
      readonly negated: boolean;
      readonly operand: Expression;
      readonly items: readonly Expression[];
      readonly position: Position;
    }
  | {
      readonly kind: 'like';
      readonly negated: boolean;
      readonly caseInsensitive: boolean;
      readonly operand: Expression;
      readonly pattern: Expression;
      readonly escape: Expression | undefined;
      readonly position: Position;
    }
  | {
      readonly kind: 'case';
      readonly subject: Expression | undefined;
      readonly branches: readonly { readonly when: Expression; readonly then: Expression }[];
      readonly otherwise: Expression | undefined;
      readonly position: Position;
    }
  | { readonly kind: 'cast'; readonly operand: Expression; readonly type: DataType; readonly position: Position }
  | {
      readonly kind: 'call';
      /** Lower case. `coalesce`, `nullif`, `greatest`, `least`, `current_user`, `current_timestamp` come in this form too. */
      readonly name: string;
      readonly arguments: readonly Expression[];
      /** `count(*)` */
      readonly star: boolean;
      readonly distinct: boolean;
      readonly filter: Expression | undefined;
      readonly position: Position;
    }
  /** Anything the compiled executor does not run (subqueries, window functions, arrays …), named for NOT_IMPLEMENTED. */
  | { readonly kind: 'unsupported'; readonly what: string; readonly position: Position };

/** Operators with two operands, in the spelling of the dialect. */
export type BinaryOperator = 'and' | 'or' | '=' | '<>' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%' | '||' | '->' | '->>' | '?';

/** One entry of a select list. */
export type SelectItem =
  | { readonly kind: 'star'; readonly qualifier: string | undefined; readonly position: Position }
  | { readonly kind: 'expression'; readonly expression: Expression; readonly alias: string | undefined };

/** One entry of ORDER BY. */
export interface OrderItem {
  readonly expression: Expression;
  readonly descending: boolean;
  /** `undefined` = PostgreSQL's default: last when ascending, first when descending. */
  readonly nulls: 'first' | 'last' | undefined;
}

/** A SELECT over at most one table. Whatever else was written is named in `unsupported`, first one wins. */
export interface SelectQuery {
  readonly distinct: boolean;
  readonly items: readonly SelectItem[];
  readonly from: { readonly table: QualifiedName; readonly alias: string | undefined } | undefined;
  readonly where: Expression | undefined;
  readonly groupBy: readonly Expression[];
  readonly having: Expression | undefined;
  readonly orderBy: readonly OrderItem[];
  readonly limit: Expression | undefined;
  readonly offset: Expression | undefined;
  /** E.g. `JOIN`, `WITH`, `UNION`, `window functions`, `subqueries`; the binder turns it into NOT_IMPLEMENTED. */
  readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
}

/** What fills a column that an INSERT leaves out. Stored in the catalog with the table. */
export type DefaultValue =
  | { readonly kind: 'literal'; readonly literal: LiteralKind; readonly text: string }
  | { readonly kind: 'function'; readonly name: 'NOW' | 'CURRENT_TIMESTAMP' | 'SNOWFLAKE_ID' | 'UUID_V7' | 'ULID' | 'CURRENT_USER' };

/** A column as CREATE TABLE defines it. */
export interface ColumnDefinition {
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
  readonly primaryKey: boolean;
  readonly default: DefaultValue | undefined;
  readonly position: Position;
}

/** The kinds of tables that users make. */
export type TableKind = 'user' | 'shared' | 'stream';
/** Who may read and write a SHARED table (sql-dialect B13). */
export type AccessLevel = 'public' | 'private' | 'restricted' | 'dba';

/** When rows leave the hot tier. Seconds and rows; at least one of them. */
export interface FlushPolicy {
  readonly rows: number | undefined;
  readonly intervalSeconds: number | undefined;
}

/** The options of CREATE TABLE, in both syntaxes (sql-dialect A5 and B9), checked for form and for the table kind. */
export interface TableOptions {
  readonly storageId: string | undefined;
  readonly useUserStorage: boolean | undefined;
  readonly flushPolicy: FlushPolicy | undefined;
  readonly accessLevel: AccessLevel | undefined;
  /** Hours; `'off'` keeps tombstones for ever. */
  readonly deletedRetentionHours: number | 'off' | undefined;
  readonly ttlSeconds: number | undefined;
  /** Whose events a stream shows: its inserter's only (`user`, also when absent) or everybody's who may read it (`shared`). */
  readonly streamScope: 'user' | 'shared' | undefined;
  readonly ephemeral: boolean | undefined;
  /** Events kept at most, per partition. */
  readonly maxBuffer: number | undefined;
}

/** A parsed statement. `text` positions refer to the statement's own text. */
export type Statement =
  | { readonly kind: 'select'; readonly query: SelectQuery }
  | {
      readonly kind: 'insert';
      readonly table: QualifiedName;
      /** `undefined`: every user column in order. */
      readonly columns: readonly { readonly name: string; readonly position: Position }[] | undefined;
      readonly source:
        | { readonly kind: 'values'; readonly rows: readonly (readonly (Expression | 'default')[])[] }
        | { readonly kind: 'select'; readonly query: SelectQuery }
        | { readonly kind: 'default-values' };
      /** E.g. `RETURNING`, `ON CONFLICT`. */
      readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
    }
  | {
      readonly kind: 'update';
      readonly table: QualifiedName;
      readonly assignments: readonly { readonly column: string; readonly value: Expression | 'default'; readonly position: Position }[];
      readonly where: Expression | undefined;
      readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
    }
  | {
      readonly kind: 'delete';
      readonly table: QualifiedName;
      readonly where: Expression | undefined;
      readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
    }
  | { readonly kind: 'create-namespace'; readonly name: string; readonly ifNotExists: boolean }
  | { readonly kind: 'drop-namespace'; readonly name: string; readonly ifExists: boolean; readonly cascade: boolean }
  | { readonly kind: 'show-namespaces' }
  | { readonly kind: 'use-namespace'; readonly name: string }
  | {
      readonly kind: 'create-table';
      readonly table: QualifiedName;
      readonly ifNotExists: boolean;
      /** `undefined`: not said; the caller decides (sql-dialect B9). */
      readonly tableKind: TableKind | undefined;
      readonly columns: readonly ColumnDefinition[];
      readonly options: TableOptions;
    }
  | { readonly kind: 'drop-table'; readonly table: QualifiedName; readonly ifExists: boolean }
  | { readonly kind: 'show-tables'; readonly namespace: string | undefined }
  | { readonly kind: 'describe-table'; readonly table: QualifiedName; readonly history: boolean }
  | {
      readonly kind: 'create-user';
      readonly name: string;
      readonly auth:
        | { readonly kind: 'password'; readonly password: string }
        | { readonly kind: 'oauth'; readonly json: string | undefined }
        | { readonly kind: 'internal' };
      /** As written; the handler knows the roles and their aliases. */
      readonly role: string;
      readonly email: string | undefined;
    }
  | { readonly kind: 'drop-user'; readonly name: string; readonly ifExists: boolean }
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'rollback-to-savepoint'; readonly name: string }
  | { readonly kind: 'release-savepoint'; readonly name: string }
  | { readonly kind: 'execute-as-user'; readonly user: string; readonly inner: string; readonly innerPosition: Position }
  /** A statement of the dialect that is known but not built yet; `what` names it (`ALTER TABLE`, `CREATE TOPIC` …). */
  | {
      readonly kind: 'not-implemented';
      readonly what: string;
      /** The table of an ALTER TABLE: who may alter it depends on it. */
      readonly table?: QualifiedName | undefined;
    };

/** The tag of a {@link Statement}. */
export type StatementKind = Statement['kind'];

/**
 * What can be said about a statement before anything runs: enough to refuse the request as a whole (wire-protocol 3.3).
 */
export interface StatementClass {
  /** E.g. `SELECT`, `INSERT`, `CREATE TABLE`, `ALTER TOPIC`; upper case, for messages and logs. */
  readonly name: string;
  /**
   * Set when the statement is refused for roles below dba at classification: the `X` of
   * `Admin privileges (DBA or System role) required for X` (sql-dialect B3).
   */
  readonly adminFor: string | undefined;
}
