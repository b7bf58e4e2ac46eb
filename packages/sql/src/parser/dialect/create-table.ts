import { plainType } from '@kalamdb/protocol';
import type { ColumnDefinition, Statement, TableKind } from '../../statement/ast.ts';
import { type ColumnParts, parseColumn, SNOWFLAKE } from './column-definition.ts';
import { resolveOptions } from './resolve-options.ts';
import { parseTableOptions, type WrittenOptions } from './table-options.ts';
import type { TokenReader } from './token-reader.ts';

const UNIQUE_REFUSED = 'UNIQUE constraints are not supported until unique indexes exist; only the PRIMARY KEY is unique';

/**
 * `CREATE [kind] TABLE [IF NOT EXISTS] t (columns) clauses`, in both generations of the syntax. Names are checked for form only; the
 * rules that need the catalog or the caller's role are the handler's. Throws INVALID_CREATE_TABLE with the texts of sql-dialect B9.
 */
export function parseCreateTable(reader: TokenReader): Statement {
  reader.expectWords('create');
  const keyword = reader.acceptOneOf(['user', 'shared', 'stream']);
  reader.expectWords('table');
  const ifNotExists = reader.acceptWords('if not exists');
  const table = reader.qualifiedName();
  const columns = parseColumns(reader);
  const written = parseTableOptions(reader);
  reader.expectEnd();
  const { tableKind, options } = resolveOptions(reader, keyword satisfies TableKind | undefined, written);
  const isKeyed = tableKind === 'stream' || columns.some(({ primaryKey }) => primaryKey);
  return {
    kind: 'create-table',
    table,
    ifNotExists,
    tableKind,
    columns: !isKeyed && usesOlderSyntax(written) ? withSnowflakeKey(columns) : columns,
    options,
  };
}

/** Whether a table is made in the words of the 2025-10 syntax, in which it need not name a key (sql-dialect A2). */
function usesOlderSyntax({ location, flush, options }: WrittenOptions): boolean {
  return location !== undefined || flush !== undefined || options.has('DELETED_RETENTION');
}

/** The only column that numbers itself becomes the key; without one there is a column `id` more, unless one is called that. */
function withSnowflakeKey(columns: readonly ColumnDefinition[]): readonly ColumnDefinition[] {
  const numbered = columns.filter(({ default: value }) => value?.kind === 'function' && value.name === 'SNOWFLAKE_ID');
  const [only, second] = numbered;
  if (only !== undefined && second === undefined) {
    return columns.map((column) => (column === only ? { ...column, primaryKey: true, nullable: false } : column));
  }
  if (columns.some(({ name }) => name === 'id')) return columns;
  return [...columns, { name: 'id', type: plainType('bigint'), nullable: false, primaryKey: true, default: SNOWFLAKE, position: 0 }];
}

function parseColumns(reader: TokenReader): readonly ColumnDefinition[] {
  const columns: ColumnParts[] = [];
  const keys: { readonly name: string; readonly position: number }[] = [];
  const start = reader.position;
  if (reader.acceptSymbol('(')) {
    while (!reader.acceptSymbol(')')) {
      if (!parseConstraint(reader, { columns, keys })) columns.push(parseColumn(reader));
      if (!reader.acceptSymbol(',') && !reader.isSymbol(')')) throw reader.unexpected("',' or ')'");
    }
  }
  if (columns.length === 0) throw reader.refuse('Table must have at least one column', start);
  const keyColumn = primaryKey(reader, columns, keys);
  for (const column of columns) {
    if (column.unique && column.name !== keyColumn) throw reader.refuse(UNIQUE_REFUSED, column.position);
  }
  return columns.map((column) => definition(column, column.name === keyColumn));
}

function definition(column: ColumnParts, primaryKey: boolean): ColumnDefinition {
  const { name, type, position } = column;
  return { name, type, nullable: column.nullable && !primaryKey, primaryKey, default: column.default, position };
}

/** The name of the key column, from the column itself or from the constraint. */
function primaryKey(
  reader: TokenReader,
  columns: readonly ColumnParts[],
  keys: readonly { readonly name: string; readonly position: number }[],
): string | undefined {
  const all = [...columns.filter((column) => column.primaryKey), ...keys];
  const [first, second] = all;
  if (second !== undefined) throw reader.refuse('Multiple PRIMARY KEY definitions found', second.position);
  if (first !== undefined && !columns.some((column) => column.name === first.name)) {
    throw reader.refuse(`PRIMARY KEY column '${first.name}' not found in column list`, first.position);
  }
  return first?.name;
}

interface Constraints {
  readonly columns: readonly ColumnParts[];
  readonly keys: { readonly name: string; readonly position: number }[];
}

/** A table constraint, when one comes next; a column may be called like its first word. */
function parseConstraint(reader: TokenReader, found: Constraints): boolean {
  const position = reader.position;
  const named = reader.isWord('constraint') && reader.peek(2).kind === 'word';
  if (named) {
    reader.next();
    reader.name('a constraint name');
  }
  if (reader.acceptWords('primary key')) {
    const names = parseKeyColumns(reader);
    const [name = '', second] = names;
    if (second !== undefined) throw reader.refuse('Composite PRIMARY KEYs are not supported yet', position);
    found.keys.push({ name, position });
    return true;
  }
  if (reader.isWord('unique') && (named || reader.isSymbol('(', 1) || reader.isWord('key', 1))) {
    reader.next();
    reader.acceptWords('key');
    const names = parseKeyColumns(reader);
    const [name] = names;
    const isKey =
      names.length === 1 &&
      (found.keys.some((key) => key.name === name) || found.columns.some((column) => column.name === name && column.primaryKey));
    if (!isKey) throw reader.refuse(UNIQUE_REFUSED, position);
    return true;
  }
  if (named || reader.isSymbol('(', 1) || (reader.isWord('foreign') && reader.isWord('key', 1))) {
    const what = reader.isWord('foreign') ? 'FOREIGN KEY' : reader.peek().value.toUpperCase();
    throw reader.refuse(`${what} constraints are not supported`, position);
  }
  return false;
}

function parseKeyColumns(reader: TokenReader): readonly string[] {
  reader.expectSymbol('(');
  const names = [reader.name('a column name')];
  while (reader.acceptSymbol(',')) names.push(reader.name('a column name'));
  reader.expectSymbol(')');
  return names;
}
