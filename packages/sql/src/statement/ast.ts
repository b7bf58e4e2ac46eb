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

/** How the distance of two embeddings is measured. */
export type VectorMetric = 'cosine' | 'l2' | 'dot';

/** What one ALTER TABLE changes (sql-dialect B10). Names are folded to lower case. */
export type AlterOperation =
  | { readonly kind: 'add-column'; readonly column: ColumnDefinition; readonly ifNotExists: boolean }
  | { readonly kind: 'drop-column'; readonly column: string; readonly ifExists: boolean }
  /** `nullable` is `undefined` when the statement does not say. */
  | { readonly kind: 'modify-column'; readonly column: string; readonly type: DataType; readonly nullable: boolean | undefined }
  | { readonly kind: 'set-nullable'; readonly column: string; readonly nullable: boolean }
  /** `undefined` drops the default. */
  | { readonly kind: 'set-default'; readonly column: string; readonly default: DefaultValue | undefined }
  | { readonly kind: 'rename-column'; readonly column: string; readonly to: string }
  | { readonly kind: 'set-access-level'; readonly accessLevel: AccessLevel }
  /** `undefined` drops the index. */
  | { readonly kind: 'set-vector-index'; readonly column: string; readonly metric: VectorMetric | undefined };

/** `column = value` of SET. */
export interface Assignment {
  readonly column: string;
  readonly value: Expression | 'default';
  readonly position: Position;
}

/** What an INSERT does with rows whose key is taken. */
export interface OnConflict {
  /** The columns in parentheses behind ON CONFLICT; `undefined` when there are none. */
  readonly target: readonly { readonly name: string; readonly position: Position }[] | undefined;
  readonly action:
    | { readonly kind: 'nothing' }
    | { readonly kind: 'update'; readonly assignments: readonly Assignment[]; readonly where: Expression | undefined };
  readonly position: Position;
}

/** Kinds of storage. */
export type StorageType = 'filesystem' | 's3' | 'gcs' | 'azure';

/** What can be said of a storage at any time, as it was written; `undefined`: not said. */
export interface StorageSettings {
  readonly displayName: string | undefined;
  readonly description: string | undefined;
  readonly sharedTablesTemplate: string | undefined;
  readonly userTablesTemplate: string | undefined;
  /** JSON text; secret. */
  readonly credentials: string | undefined;
  /** JSON text. */
  readonly config: string | undefined;
}

/** A parsed statement. `text` positions refer to the statement's own text. */
export type Statement =
  | { readonly kind: 'select'; readonly query: SelectQuery }
  | {
      readonly kind: 'insert';
      readonly table: QualifiedName;
      readonly alias: string | undefined;
      /** `undefined`: every user column in order. */
      readonly columns: readonly { readonly name: string; readonly position: Position }[] | undefined;
      readonly source:
        | { readonly kind: 'values'; readonly rows: readonly (readonly (Expression | 'default')[])[] }
        | { readonly kind: 'select'; readonly query: SelectQuery }
        | { readonly kind: 'default-values' };
      readonly onConflict: OnConflict | undefined;
      /** The list behind RETURNING; `undefined` without one. */
      readonly returning: readonly SelectItem[] | undefined;
      /** E.g. `WITH`. */
      readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
    }
  | {
      readonly kind: 'update';
      readonly table: QualifiedName;
      /** Columns come without it; only `alias.*` of RETURNING names it. */
      readonly alias: string | undefined;
      readonly assignments: readonly Assignment[];
      readonly where: Expression | undefined;
      readonly returning: readonly SelectItem[] | undefined;
      readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
    }
  | {
      readonly kind: 'delete';
      readonly table: QualifiedName;
      /** As in UPDATE. */
      readonly alias: string | undefined;
      readonly where: Expression | undefined;
      readonly returning: readonly SelectItem[] | undefined;
      readonly unsupported: { readonly what: string; readonly position: Position } | undefined;
    }
  | { readonly kind: 'create-namespace'; readonly name: string; readonly ifNotExists: boolean }
  | { readonly kind: 'drop-namespace'; readonly name: string; readonly ifExists: boolean; readonly cascade: boolean }
  /** The options are merged into those there are. */
  | { readonly kind: 'alter-namespace'; readonly name: string; readonly options: ReadonlyMap<string, string | number | boolean> }
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
  | { readonly kind: 'alter-table'; readonly table: QualifiedName; readonly ifExists: boolean; readonly operation: AlterOperation }
  /** `query` is the text of a SELECT, which begins at `queryPosition` of the statement. `columns` rename what it gives. */
  | {
      readonly kind: 'create-view';
      readonly table: QualifiedName;
      readonly orReplace: boolean;
      readonly ifNotExists: boolean;
      readonly columns: readonly string[] | undefined;
      readonly query: string;
      readonly queryPosition: number;
    }
  | { readonly kind: 'drop-view'; readonly table: QualifiedName; readonly ifExists: boolean }
  | { readonly kind: 'drop-table'; readonly table: QualifiedName; readonly ifExists: boolean }
  | { readonly kind: 'show-tables'; readonly namespace: string | undefined }
  | { readonly kind: 'show-storages' }
  | { readonly kind: 'show-manifest' }
  | {
      readonly kind: 'create-storage';
      /** Its id. */
      readonly name: string;
      readonly ifNotExists: boolean;
      readonly type: StorageType;
      /** A path, a bucket or a bucket's URL. */
      readonly location: string;
      readonly region: string | undefined;
      readonly settings: StorageSettings;
    }
  | { readonly kind: 'alter-storage'; readonly name: string; readonly settings: StorageSettings }
  | { readonly kind: 'drop-storage'; readonly name: string; readonly ifExists: boolean }
  /** `extended`: sizes too. */
  | { readonly kind: 'storage-check'; readonly name: string; readonly extended: boolean }
  /** `extended`: properties of the table instead of its columns. */
  | { readonly kind: 'describe-table'; readonly table: QualifiedName; readonly history: boolean; readonly extended: boolean }
  /** `DESCRIBE t` and `SHOW COLUMNS FROM t`: the columns as the planner of the original shows them. */
  | { readonly kind: 'describe-columns' | 'show-columns'; readonly table: QualifiedName }
  | { readonly kind: 'show-stats'; readonly table: QualifiedName }
  | { readonly kind: 'storage-flush-table' | 'storage-compact-table'; readonly table: QualifiedName }
  /** All tables of a namespace; `undefined`: the one where unqualified names are looked up. */
  | { readonly kind: 'storage-flush-all' | 'storage-compact-all'; readonly namespace: string | undefined }
  | {
      readonly kind: 'backup-database';
      /** `undefined`: the whole database. */
      readonly namespace: string | undefined;
      readonly ifExists: boolean;
      /** A folder, or `storage://id/folder`. */
      readonly place: string;
      readonly incremental: boolean;
    }
  | { readonly kind: 'restore-database'; readonly namespace: string | undefined; readonly ifNotExists: boolean; readonly place: string }
  /** What a backup says of itself. */
  | { readonly kind: 'show-backup'; readonly place: string; readonly namespace: string | undefined }
  | { readonly kind: 'backup-verify'; readonly place: string; readonly namespace: string | undefined }
  | { readonly kind: 'show-backups'; readonly namespace: string }
  | { readonly kind: 'kill-job'; readonly jobId: string }
  | { readonly kind: 'kill-live-query'; readonly liveId: string }
  /** `query` is a whole SELECT, or what follows the table: empty or a WHERE clause. */
  | { readonly kind: 'subscribe-to'; readonly table: QualifiedName | undefined; readonly query: string }
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
  | {
      readonly kind: 'alter-user';
      readonly name: string;
      readonly change:
        | { readonly kind: 'password'; readonly password: string }
        /** As written, like the role of CREATE USER. */
        | { readonly kind: 'role'; readonly role: string }
        | { readonly kind: 'email'; readonly email: string };
    }
  | { readonly kind: 'drop-user'; readonly name: string; readonly ifExists: boolean }
  | { readonly kind: 'begin' }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint'; readonly name: string }
  | { readonly kind: 'rollback-to-savepoint'; readonly name: string }
  | { readonly kind: 'release-savepoint'; readonly name: string }
  | { readonly kind: 'execute-as-user'; readonly user: string; readonly inner: string; readonly innerPosition: Position }
  | { readonly kind: 'explain'; readonly analyze: boolean; readonly inner: string; readonly innerPosition: Position }
  | { readonly kind: 'explain-live'; readonly subject: LiveSubject }
  /** A setting of the original's query engine, which has no meaning here. */
  | { readonly kind: 'set-option'; readonly name: string }
  /** A statement of the dialect that is known but not built yet; `what` names it (`CREATE TOPIC` …). */
  | { readonly kind: 'not-implemented'; readonly what: string };

/** What EXPLAIN LIVE is asked about: a query that could be subscribed to, or what a running subscription makes of one row. */
export type LiveSubject =
  | { readonly kind: 'query'; readonly sql: string }
  /** `key`: for each key column of the subscription's table a literal as it was written, a number or a text in quotes. */
  | { readonly kind: 'row'; readonly liveId: string; readonly key: readonly string[] };

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
