import { invalidArgument } from '../client-error.ts';
import { jsonText } from '../messages/json-text.ts';
import { KalamCellValue } from '../rows/cell-value.ts';
import { SeqId } from '../rows/seq-id.ts';

/** A name in double quotes, so that no character of it can be read as SQL. */
export function quoteName(name: string): string {
  const bare = name.length > 1 && name.startsWith('"') && name.endsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  if (bare === '' || bare.includes('\0')) throw invalidArgument('name', 'an empty name, or NUL in one');
  return `"${bare.replaceAll('"', '""')}"`;
}

/** `namespace.table`, each part quoted. A lone name gets the default namespace, if there is one. */
export function quoteTable(table: string, namespace: string | undefined): string {
  const dot = table.indexOf('.');
  if (dot >= 0) return `${quoteName(table.slice(0, dot))}.${quoteName(table.slice(dot + 1))}`;
  return namespace === undefined ? quoteName(table) : `${quoteName(namespace)}.${quoteName(table)}`;
}

/** A value as an SQL literal: dates as ISO 8601 text, objects and arrays as JSON text. */
export function sqlLiteral(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (value instanceof SeqId) return value.toString();
  if (value instanceof KalamCellValue) return sqlLiteral(value.toJson());
  switch (typeof value) {
    case 'boolean':
      return value ? 'TRUE' : 'FALSE';
    case 'number':
    case 'bigint':
      return jsonText(value);
    case 'string':
      return sqlText(value);
    case 'object':
      return sqlText(objectLiteral(value));
    default:
      throw invalidArgument('value', `a ${typeof value} has no SQL form`);
  }
}

function objectLiteral(value: object): string {
  if (ArrayBuffer.isView(value)) throw invalidArgument('value', 'bytes have no SQL form');
  return value instanceof Date ? value.toISOString() : jsonText(value);
}

function sqlText(text: string): string {
  if (text.includes('\0')) throw invalidArgument('value', 'NUL in a text');
  return `'${text.replaceAll("'", "''")}'`;
}

/** The columns that are given. */
function givenCells(data: Readonly<Record<string, unknown>>): [string, unknown][] {
  const cells = Object.entries(data).filter(([, value]) => value !== undefined);
  if (cells.length === 0) throw invalidArgument('data', 'no columns');
  return cells;
}

/** `INSERT` of one row; columns that are `undefined` are left to their defaults. */
export function insertText(table: string, row: Readonly<Record<string, unknown>>): string {
  const cells = givenCells(row);
  const names = cells.map(([name]) => quoteName(name)).join(', ');
  return `INSERT INTO ${table} (${names}) VALUES (${cells.map(([, value]) => sqlLiteral(value)).join(', ')})`;
}

/** `UPDATE` of the row whose column `id` is `rowId`. */
export function updateText(table: string, rowId: string | number | bigint, changes: Readonly<Record<string, unknown>>): string {
  const sets = givenCells(changes)
    .map(([name, value]) => `${quoteName(name)} = ${sqlLiteral(value)}`)
    .join(', ');
  return `UPDATE ${table} SET ${sets} WHERE "id" = ${sqlLiteral(rowId)}`;
}

/** `DELETE` of the row whose column `id` is `rowId`. */
export function deleteText(table: string, rowId: string | number | bigint): string {
  return `DELETE FROM ${table} WHERE "id" = ${sqlLiteral(rowId)}`;
}

/** The statement run as somebody else. */
export function executeAsText(sql: string, user: string): string {
  const inner = sql.trim().replace(/[;\s]+$/, '');
  if (inner === '') throw invalidArgument('sql', 'empty');
  if (user.trim() === '') throw invalidArgument('user', 'empty');
  // a comment at the end would swallow the parenthesis
  return `EXECUTE AS USER ${sqlText(user.trim())} (${inner}${inner.includes('--') ? '\n' : ''})`;
}
