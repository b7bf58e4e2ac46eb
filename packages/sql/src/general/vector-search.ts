import { kalamError, plainType } from '@kalamdb/protocol';
import { coerce } from '../expression/common-type.ts';
import type { ColumnInfo } from '../expression/input-row.ts';
import type { TableInfo } from '../plan/table-info.ts';
import { castText, quoteName } from './duckdb-text.ts';
import { type Piece, piece } from './piece.ts';
import { cosineDistance } from './scalar-functions.ts';
import type { NamedPiece, Place } from './scope.ts';

/** Rows that `vector_search` gives unless it is told otherwise (sql-dialect B28). */
const NEAREST_DEFAULT = 10;

/** A table function as an entry of FROM. */
export interface VectorSearch {
  readonly text: string;
  readonly columns: readonly NamedPiece[];
}

/**
 * `vector_search('ns.t', 'column', '[…]'[, k])`: the keys, as texts, of the k rows whose vectors are nearest by cosine distance, with
 * their scores (1 − distance), nearest first. It compares with every row. Throws INVALID_ARGUMENT, TABLE_NOT_FOUND, COLUMN_NOT_FOUND,
 * TYPE_MISMATCH.
 */
export function writeVectorSearch(operands: readonly Piece[], place: Place): VectorSearch {
  const { unit } = place;
  const [name, columnName, , nearest] = operands.map((operand) => unit.values.constant(operand));
  const [, , vector] = operands;
  const count = operands.length === 4 ? nearest : BigInt(NEAREST_DEFAULT);
  const literal = typeof name === 'string' && typeof columnName === 'string' && typeof count === 'bigint';
  if (!literal || vector?.typed?.kind !== 'value' || operands.length < 3 || operands.length > 4 || count < 1n) {
    const reason = 'vector_search(table_id, column_name, query_vector[, top_k]) expects 3 or 4 literal arguments';
    throw kalamError('INVALID_ARGUMENT', { reason });
  }
  const table = searchedTable(name, place);
  const column = table.columns.find((candidate) => candidate.name === columnName.toLowerCase());
  if (column === undefined) throw kalamError('COLUMN_NOT_FOUND', { column: columnName, hint: '' });
  if (column.type.kind !== 'embedding') throw kalamError('TYPE_MISMATCH', { reason: `column '${column.name}' is not an EMBEDDING` });
  const alias = quoteName(unit.plan.fresh('t'));
  const own = `${alias}.${quoteName(column.name)}`;
  const key = keyOf(table);
  const keyText = `${alias}.${quoteName(key.name)}`;
  const distance = cosineDistance([own, unit.values.coerced(vector, coerce(vector.typed, column.type, 'implicit'))]);
  const rows = `FROM ${quoteName(unit.plan.source(table).name)} AS ${alias} WHERE ${own} IS NOT NULL`;
  const nearestFirst = `ORDER BY ${distance} ASC NULLS LAST, ${keyText} ASC NULLS LAST LIMIT (${count})`;
  const outer = quoteName(unit.plan.fresh('t'));
  const shown = `${castText(keyText, key.type, plainType('text'))} AS "c0", CAST(1 - ${distance} AS FLOAT) AS "c1"`;
  return {
    text: `(SELECT ${shown} ${rows} ${nearestFirst}) AS ${outer}`,
    columns: [
      { name: 'row_id', piece: piece(`${outer}."c0"`, plainType('text')) },
      { name: 'score', piece: piece(`${outer}."c1"`, plainType('float')) },
    ],
  };
}

function searchedTable(written: string, { unit }: Place): TableInfo {
  const parts = written.toLowerCase().split('.');
  const name = parts.pop() ?? '';
  const namespace = parts.length === 0 ? unit.namespace : parts.join('.');
  const table = unit.plan.request.catalog.table(namespace, name);
  if (table === undefined) throw kalamError('TABLE_NOT_FOUND', { table: `${namespace}.${name}` });
  if (table.kind === 'view') throw kalamError('INVALID_OPERATION', { reason: `'${written}' is a view: vector_search takes a table` });
  return table;
}

/** The primary key; a stream's rows are told apart by `_seq`. */
function keyOf(table: TableInfo): ColumnInfo {
  const key = table.columns.find((column) => column.primaryKey) ?? table.columns.find((column) => column.system === '_seq');
  if (key === undefined) throw kalamError('INVALID_OPERATION', { reason: `table '${table.name}' has no key to tell its rows apart` });
  return key;
}
