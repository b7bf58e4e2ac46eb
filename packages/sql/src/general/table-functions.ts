import { kalamError, plainType } from '@kalamdb/protocol';
import type { FuncCall, RangeFunction } from 'libpg-query';
import { writeListCall } from './array-calls.ts';
import { callName, writeSeries } from './calls.ts';
import { quoteName } from './duckdb-text.ts';
import { documentRows } from './json-documents.ts';
import { itemOf, type Piece, piece } from './piece.ts';
import { allMatches, regularCall, writeRegularCall } from './regular-calls.ts';
import type { NamedPiece, Place, Relation } from './scope.ts';

/** Functions that make rows, and those that make the same as one list. */
const AS_LISTS: Readonly<Record<string, string>> = { string_to_table: 'string_to_array', regexp_split_to_table: 'regexp_split_to_array' };

/** A column of a function that makes rows: a value of it for each of a list. */
interface ListColumn {
  /** `undefined`: that of the alias, or else of the function. */
  readonly name: string | undefined;
  readonly list: Piece;
}

/** A function in FROM: its text and its columns; there are no others than these. */
export function writeTableFunction(
  call: FuncCall,
  range: RangeFunction,
  inner: Place,
): { readonly text: string; readonly relation: Relation } {
  const { unit } = inner;
  const name = callName(call, inner);
  const made = unit.at(call.location, () => listColumns(name, call, inner));
  const alias = unit.plan.fresh('t');
  const fallback = range.alias?.aliasname === undefined ? name : unit.source.name(range.alias.aliasname);
  const columns = made.map(({ name: own = fallback, list }, index): NamedPiece => {
    const found = itemOf(list, `${quoteName(alias)}."c${index}"`);
    if (found === undefined) return unit.missing('rows of these lists', call.location);
    return { name: own, piece: found };
  });
  const values = made.map(({ list }, index) => `unnest(${list.text}) AS "c${index}"`);
  const [first] = columns;
  const scalar = columns.length === 1 && made[0]?.name !== undefined && range.ordinality !== true ? first?.piece : undefined;
  if (range.ordinality === true) {
    const longest = made.map(({ list }) => `len(${list.text})`);
    values.push(
      `unnest(generate_series(CAST(1 AS BIGINT), ${longest.length === 1 ? longest[0] : `greatest(${longest.join(', ')})`})) AS "n"`,
    );
    columns.push({ name: 'ordinality', piece: piece(`${quoteName(alias)}."n"`, plainType('bigint')) });
  }
  const relation: Relation = { name, namespace: undefined, columns, hidden: [], ...(scalar === undefined ? {} : { scalar }) };
  return { text: `(SELECT ${values.join(', ')}) AS ${quoteName(alias)}`, relation };
}

function listColumns(name: string, call: FuncCall, inner: Place): readonly ListColumn[] {
  const operands = (call.args ?? []).map((argument) => inner.writer.expression(argument, inner));
  if (name === 'generate_series') return [{ name: undefined, list: writeSeries(operands, inner) }];
  if (name === 'unnest') {
    if (operands.length === 0 || operands.some(({ foreign }) => foreign !== 'list')) throw kalamError('FUNCTION_NOT_FOUND', { name });
    return operands.map((list, index) => ({
      name: operands.length === 1 ? undefined : index === 0 ? 'unnest' : `unnest_${index + 1}`,
      list,
    }));
  }
  const rows = documentRows(name, operands, inner);
  if (rows !== undefined) return rows.columns.map(({ name: own, list }) => ({ name: own === name ? undefined : own, list }));
  const list = listOf(name, operands, inner);
  if (list === undefined) throw kalamError('FUNCTION_NOT_FOUND', { name });
  return [{ name: undefined, list }];
}

function listOf(name: string, operands: readonly Piece[], inner: Place): Piece | undefined {
  if (name === 'regexp_matches') {
    const found = regularCall(name, operands, inner);
    return found === undefined ? undefined : allMatches(found, inner);
  }
  const asList = Object.hasOwn(AS_LISTS, name) ? AS_LISTS[name] : undefined;
  if (asList === undefined) return undefined;
  return writeListCall(asList, operands, inner) ?? writeRegularCall(asList, operands, inner);
}
