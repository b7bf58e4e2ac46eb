import type { ColumnInfo } from '../expression/input-row.ts';
import type { TableKind } from '../statement/ast.ts';

/** A table as the binder sees it, immutable: a change of the schema is a new object with a higher `version`. */
export interface TableInfo {
  /** Table id of the storage layer; computed system tables have one too. */
  readonly id: number;
  /** Rises with every change of the schema; a plan is valid for exactly one version. */
  readonly version: number;
  readonly namespace: string;
  readonly name: string;
  /** A `view` has no rows of its own: whoever runs the plan runs the view's query first. */
  readonly kind: TableKind | 'system' | 'view';
  /** In `SELECT *` order: the stored columns (position i = `cells[i]`), then, except on system tables, `_seq` and `_deleted`. */
  readonly columns: readonly ColumnInfo[];
}

/** The names a statement may use. Lookups are by lower-case name. */
export interface CatalogView {
  hasNamespace(namespace: string): boolean;
  table(namespace: string, name: string): TableInfo | undefined;
}
