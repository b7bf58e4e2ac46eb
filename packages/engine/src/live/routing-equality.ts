import type { DataType, NonNullCell } from '@kalamdb/protocol';
import type { SubscriptionPlan } from '@kalamdb/sql';

/** A condition `column = constant` that every matching row fulfils. */
export interface RoutingEquality {
  readonly columnIndex: number;
  readonly cell: NonNullCell;
}

/**
 * The equality that a plan is routed by: on a key column if there is one, else the first that an index of stored cells can
 * hold; masked columns do not read as they are stored.
 */
export function routingEquality(plan: SubscriptionPlan, maskedCells: readonly number[]): RoutingEquality | undefined {
  const { columns } = plan.table;
  const usable = plan.equalities.filter(({ columnIndex, cell }) => {
    const column = columns[columnIndex];
    if (column === undefined || column.system !== undefined || maskedCells.includes(columnIndex)) return false;
    return typeof cell === mapKeyType(column.type);
  });
  return usable.find(({ columnIndex }) => columns[columnIndex]?.primaryKey === true) ?? usable[0];
}

/** The JavaScript type of cells whose equality in SQL is that of Map keys; `undefined` when a type has none. */
function mapKeyType({ kind }: DataType): 'boolean' | 'number' | 'bigint' | 'string' | undefined {
  switch (kind) {
    case 'boolean':
      return 'boolean';
    case 'smallint':
    case 'int':
    case 'double':
    case 'date':
    case 'time':
      return 'number';
    case 'bigint':
    case 'decimal':
    case 'timestamp':
    case 'datetime':
      return 'bigint';
    case 'text':
    case 'uuid':
      return 'string';
    case 'float':
    case 'json':
    case 'file':
    case 'bytes':
    case 'embedding':
      return undefined;
  }
}
