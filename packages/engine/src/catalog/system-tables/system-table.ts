import { type PlainTypeKind, plainType } from '@kalamdb/protocol';
import type { DefaultValue } from '@kalamdb/sql';
import { createTable, NO_OPTIONS, type Table, type TableColumn } from '../table.ts';

/** A column of a compiled schema; its id and ordinal are its 1-based place. */
interface SystemColumn {
  readonly name: string;
  readonly type: PlainTypeKind;
  readonly nullable: boolean;
  readonly primaryKey: boolean;
  readonly comment: string;
  readonly default?: DefaultValue | undefined;
}

/** A key column. */
export function key(name: string, type: PlainTypeKind, comment: string): SystemColumn {
  return { name, type, nullable: false, primaryKey: true, comment };
}

/** A NOT NULL column. */
export function required(name: string, type: PlainTypeKind, comment: string): SystemColumn {
  return { name, type, nullable: false, primaryKey: false, comment };
}

/** A column that may be NULL. */
export function optional(name: string, type: PlainTypeKind, comment: string): SystemColumn {
  return { name, type, nullable: true, primaryKey: false, comment };
}

/** A NOT NULL time that DESCRIBE shows with the default NOW(). */
export function timeOfWriting(name: string, comment: string): SystemColumn {
  return { ...required(name, 'timestamp', comment), default: { kind: 'function', name: 'NOW' } };
}

/** A compiled schema. Ids are fixed for ever: 1–99 persisted tables, 100–999 computed ones. */
interface SystemTableSpec {
  readonly id: number;
  readonly namespace?: 'system' | 'information_schema' | undefined;
  readonly name: string;
  readonly comment: string;
  readonly columns: readonly SystemColumn[];
  /** Columns at the end of the row that no statement can name. */
  readonly hidden?: readonly SystemColumn[] | undefined;
  /** Positions of the key where it is not the flagged columns. */
  readonly keyIndexes?: readonly number[] | undefined;
}

/** Makes a system table. */
export function systemTable(spec: SystemTableSpec): Table {
  const hidden = spec.hidden ?? [];
  const storedColumns = [...spec.columns, ...hidden].map(
    (column, index): TableColumn => ({
      id: index + 1,
      name: column.name,
      type: plainType(column.type),
      nullable: column.nullable,
      primaryKey: column.primaryKey,
      default: column.default,
      system: undefined,
      ordinal: index + 1,
      comment: column.comment,
    }),
  );
  return createTable({
    id: spec.id,
    version: 1,
    namespace: spec.namespace ?? 'system',
    name: spec.name,
    kind: 'system',
    storedColumns,
    hiddenColumns: hidden.length === 0 ? undefined : hidden.length,
    keyIndexes: spec.keyIndexes,
    systemColumns: [],
    options: NO_OPTIONS,
    comment: spec.comment,
    createdAtMicros: 0n,
    updatedAtMicros: 0n,
  });
}
