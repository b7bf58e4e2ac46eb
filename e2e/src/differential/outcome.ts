import { type Session, StatementError } from '@kalamdb/engine';
import { type Cell, cellToJson, type DataType, KalamError, sqlTypeName } from '@kalamdb/protocol';

/** How far two results of floating arithmetic may lie apart, as a part of their size: the order of a sum is not defined. */
const DOUBLE_TOLERANCE = 1e-9;
/** What is left of larger numbers that cancel each other out. */
const DOUBLE_REST = 1e-12;

/** What came of a query. */
export type Outcome =
  | {
      readonly kind: 'rows';
      readonly names: readonly string[];
      readonly types: readonly DataType[];
      readonly rows: readonly (readonly Cell[])[];
    }
  | { readonly kind: 'error'; readonly code: string; readonly message: string };

/** Runs a query and catches its error. */
export async function outcomeOf(session: Session, sql: string): Promise<Outcome> {
  try {
    const result = (await session.execute(sql)).at(-1);
    if (result?.kind !== 'rows') throw new Error('a query without rows');
    return {
      kind: 'rows',
      names: result.columns.map(({ name }) => name),
      types: result.columns.map(({ type }) => type),
      rows: result.rows,
    };
  } catch (error) {
    const cause = error instanceof StatementError ? error.failure.error : error;
    if (cause instanceof KalamError) return { kind: 'error', code: cause.code, message: cause.message };
    return {
      kind: 'error',
      code: 'no error of the table',
      message: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
    };
  }
}

/** What two outcomes differ in; its first words name the kind of difference. */
export function difference(a: Outcome, b: Outcome, isOrdered: boolean): string | undefined {
  if (a.kind === 'error' && b.kind === 'error')
    return a.code === b.code ? undefined : `error codes: ${a.code} and ${b.code} (${a.message}) (${b.message})`;
  if (a.kind === 'error') return `only the compiled one refuses: ${a.code} (${a.message})`;
  if (b.kind === 'error') return `only the general one refuses: ${b.code} (${b.message})`;
  if (a.names.join() !== b.names.join()) return `names: ${a.names} and ${b.names}`;
  const [typesA, typesB] = [a.types.map(sqlTypeName).join(', '), b.types.map(sqlTypeName).join(', ')];
  if (typesA !== typesB) return `types: ${typesA} and ${typesB}`;
  if (a.rows.length !== b.rows.length) return `number of rows: ${a.rows.length} and ${b.rows.length}`;
  const [rowsA, rowsB] = isOrdered ? [a.rows, b.rows] : [inSomeOrder(a.rows, a.types), inSomeOrder(b.rows, b.types)];
  for (const [index, row] of rowsA.entries()) {
    const other = rowsB[index] ?? [];
    for (const [column, type] of a.types.entries()) {
      const [one, two] = [row[column] ?? null, other[column] ?? null];
      if (!isSame(one, two, type)) return `values of ${sqlTypeName(type)}: ${shown(one, type)} and ${shown(two, type)} in row ${index + 1}`;
    }
  }
  return undefined;
}

function isSame(a: Cell, b: Cell, type: DataType): boolean {
  if (typeof a === 'number' && typeof b === 'number' && (type.kind === 'double' || type.kind === 'float')) {
    return Math.abs(a - b) <= Math.max(DOUBLE_REST, DOUBLE_TOLERANCE * Math.max(Math.abs(a), Math.abs(b)));
  }
  return shown(a, type) === shown(b, type);
}

function inSomeOrder(rows: readonly (readonly Cell[])[], types: readonly DataType[]): readonly (readonly Cell[])[] {
  const key = (row: readonly Cell[]): string => types.map((type, index) => coarse(row[index] ?? null, type)).join();
  return rows
    .map((row) => ({ row, key: key(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ row }) => row);
}

/** Doubles that are the same within the tolerance sort alike. */
function coarse(cell: Cell, type: DataType): string {
  return typeof cell === 'number' && (type.kind === 'double' || type.kind === 'float') ? cell.toPrecision(8) : shown(cell, type);
}

function shown(cell: Cell, type: DataType): string {
  try {
    return cellToJson(cell, type);
  } catch {
    // A cell that is none of its type is a difference, not the end of the run.
    return `${typeof cell} ${String(cell)}`;
  }
}
