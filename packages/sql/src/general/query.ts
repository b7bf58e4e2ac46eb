import { type DataType, duckdbType, kalamError, plainType, sameType } from '@kalamdb/protocol';
import type { SelectStmt } from 'libpg-query';
import { unifiedType } from '../expression/common-type.ts';
import { isInteger } from '../expression/type-families.ts';
import { castText, quoteName } from './duckdb-text.ts';
import { settled, unified } from './meeting.ts';
import { type Piece, referredTo, standIn, typeOf } from './piece.ts';
import type { CommonTable, Output, Place, QueryOptions, QueryText } from './scope.ts';
import { writeSelect } from './select.ts';
import { rowLimits, sortedOutputs } from './tail.ts';

/** A SELECT with all that may stand around it: WITH, set operations, VALUES, ORDER BY and LIMIT. */
export function writeQuery(select: SelectStmt, place: Place, options: QueryOptions = {}): QueryText {
  const { unit } = place;
  if (select.intoClause !== undefined) return unit.missing('SELECT INTO', undefined);
  if (select.lockingClause !== undefined) return unit.missing('FOR UPDATE', undefined);
  const whole = (select.op ?? 'SETOP_NONE') !== 'SETOP_NONE' || select.valuesLists !== undefined;
  if (select.limitOption === 'LIMIT_OPTION_WITH_TIES' && whole) return unit.missing('WITH TIES of set operations', undefined);
  if (select.withClause !== undefined) {
    const { text, inner } = writeCommonTables(select.withClause, place);
    const query = writeBody(select, inner, options);
    return { ...query, text: `${text} ${query.text}` };
  }
  return writeBody(select, place, options);
}

function writeBody(select: SelectStmt, place: Place, options: QueryOptions): QueryText {
  if (select.op !== undefined && select.op !== 'SETOP_NONE') return writeCompound(select, place, options);
  if (select.valuesLists !== undefined) return writeValues(select, place);
  return writeSelect(select, place, options);
}

/** A query below another one, in its own place. */
function operand(select: SelectStmt | undefined, place: Place, options: QueryOptions = {}): QueryText {
  if (select === undefined) return place.unit.missing('an empty query', undefined);
  return writeQuery(select, place, options);
}

function writeCompound(select: SelectStmt, place: Place, options: QueryOptions): QueryText {
  const operation = select.op === 'SETOP_UNION' ? 'UNION' : select.op === 'SETOP_INTERSECT' ? 'INTERSECT' : 'EXCEPT';
  const left = operand(select.larg, place);
  const right = operand(select.rarg, place);
  if (left.outputs.length !== right.outputs.length) {
    throw kalamError('INVALID_OPERATION', { reason: `each ${operation} query must have the same number of columns` });
  }
  const types = left.outputs.map((output, index) => metType(output, right.outputs[index], operation));
  const outputs = left.outputs.map((output, index): Output => {
    const type = types[index];
    const { column } = output.piece;
    const same = column !== undefined && type !== undefined && sameType(column.type, type);
    const piece: Piece = {
      ...settled(output.piece),
      typed: type === undefined ? undefined : standIn(type),
      column: same ? column : undefined,
    };
    return { name: output.name, inner: output.inner, piece };
  });
  const text = `(${inTypes(left, types, place)}) ${operation}${select.all === true ? ' ALL' : ''} (${inTypes(right, types, place)})`;
  const order = sortedOutputs(select.sortClause ?? [], outputs, place);
  const tail = `${order}${rowLimits(select, place)}`;
  if (options.top !== true) return { text: `${text}${tail}`, outputs };
  const alias = quoteName(place.unit.plan.fresh('q'));
  const shown = outputs.map(({ name, inner }) => `${alias}.${quoteName(inner)} AS ${quoteName(name)}`);
  return { text: tail === '' ? `SELECT ${shown.join(', ')} FROM (${text}) AS ${alias}` : `${text}${tail}`, outputs };
}

function metType(left: Output, right: Output | undefined, operation: string): DataType | undefined {
  const [a, b] = [left.piece.typed, right?.piece.typed];
  return a === undefined || b === undefined ? undefined : unifiedType([a, b], operation);
}

/** The query with its columns in the types. */
function inTypes(query: QueryText, types: readonly (DataType | undefined)[], { unit }: Place): string {
  const differs = query.outputs.some(({ piece: of }, index) => {
    const [from, to] = [typeOf(of), types[index]];
    return from !== undefined && to !== undefined && duckdbType(from) !== duckdbType(to);
  });
  if (!differs) return query.text;
  const alias = quoteName(unit.plan.fresh('q'));
  const columns = query.outputs.map(({ inner, piece: of }, index) => {
    const [from, to] = [typeOf(of), types[index]];
    const text = `${alias}.${quoteName(inner)}`;
    return `${from === undefined || to === undefined ? text : castText(text, from, to)} AS ${quoteName(inner)}`;
  });
  return `SELECT ${columns.join(', ')} FROM (${query.text}) AS ${alias}`;
}

function writeValues(select: SelectStmt, place: Place): QueryText {
  const rows = (select.valuesLists ?? []).map((list) =>
    ('List' in list ? (list.List.items ?? []) : []).map((node) => place.writer.expression(node, { ...place, noAggregates: 'VALUES' })),
  );
  const [first = []] = rows;
  if (rows.some((row) => row.length !== first.length)) {
    throw kalamError('INVALID_OPERATION', { reason: 'VALUES lists must all be the same length' });
  }
  const columns = first.map((_, index) =>
    unified(
      rows.flatMap((row) => row[index] ?? []),
      'VALUES',
      place,
    ),
  );
  const outputs = columns.map((column, index): Output => {
    return { name: `column${index + 1}`, inner: `c${index}`, piece: column.as(`"c${index}"`) };
  });
  const texts = rows.map((_, row) => `(${columns.map((column) => column.texts[row] ?? 'NULL').join(', ')})`);
  const names = outputs.map(({ inner }) => quoteName(inner)).join(', ');
  const text = `SELECT * FROM (VALUES ${texts.join(', ')}) AS ${quoteName(place.unit.plan.fresh('v'))}(${names})`;
  return { text: `${text}${sortedOutputs(select.sortClause ?? [], outputs, place)}${rowLimits(select, place)}`, outputs };
}

const WRITES_IN_WITH = 'a statement that writes in WITH (run it first, with RETURNING, in one transaction with what uses its rows)';

/** A WITH clause, and the place of what stands behind it; WITH and all its tables, without a blank at the end. */
export function writeCommonTables(
  withClause: NonNullable<SelectStmt['withClause']>,
  place: Place,
): { readonly text: string; readonly inner: Place } {
  const { unit } = place;
  const tables = new Map<string, CommonTable>();
  const inner: Place = { ...place, tables: { tables, outer: place.tables } };
  const texts: string[] = [];
  let recursive = false;
  for (const node of withClause.ctes ?? []) {
    if (!('CommonTableExpr' in node)) continue;
    const { ctename = '', ctequery, aliascolnames, search_clause, cycle_clause, location } = node.CommonTableExpr;
    if (search_clause !== undefined || cycle_clause !== undefined) return unit.missing('SEARCH and CYCLE', location);
    if (ctequery === undefined || !('SelectStmt' in ctequery)) return unit.missing(WRITES_IN_WITH, location);
    const name = unit.source.name(ctename);
    if (tables.has(name)) throw kalamError('INVALID_OPERATION', { reason: `WITH query name "${name}" specified more than once` });
    const inText = unit.plan.fresh('w');
    const renames = (aliascolnames ?? []).map((column) => unit.name(column));
    const common = (outputs: readonly Output[]): CommonTable => ({ name: inText, columns: commonColumns(outputs, renames) });
    const own = { ...inner, noAggregates: undefined };
    if (withClause.recursive === true && mentionsTable(ctequery, ctename)) {
      recursive = true;
      const written = unit.at(location, () => writeRecursive(ctequery.SelectStmt, own, (outputs) => tables.set(name, common(outputs))));
      texts.push(`${quoteName(inText)}(${written.names}) AS (${written.text})`);
      continue;
    }
    const query = writeQuery(ctequery.SelectStmt, own);
    tables.set(name, common(query.outputs));
    texts.push(`${quoteName(inText)}(${query.outputs.map((output) => quoteName(output.inner)).join(', ')}) AS (${query.text})`);
  }
  return { text: `WITH ${recursive ? 'RECURSIVE ' : ''}${texts.join(', ')}`, inner };
}

function commonColumns(outputs: readonly Output[], renames: readonly string[]): CommonTable['columns'] {
  if (renames.length > outputs.length) {
    throw kalamError('INVALID_OPERATION', {
      reason: `WITH query has ${outputs.length} columns available but ${renames.length} columns specified`,
    });
  }
  return outputs.map(({ name, inner, piece: of }, index) => ({
    name: renames[index] ?? name,
    piece: referredTo(of, quoteName(inner)),
  }));
}

/** Whether the tree names a table that may be this one. */
function mentionsTable(tree: unknown, name: string): boolean {
  if (typeof tree !== 'object' || tree === null) return false;
  if ('relname' in tree && tree.relname === name && !('schemaname' in tree)) return true;
  return Object.values(tree).some((value) => mentionsTable(value, name));
}

/** Whole numbers widen on their way through arithmetic, so a recursive query's are wide from the start. */
function writeRecursive(
  select: SelectStmt,
  place: Place,
  define: (outputs: readonly Output[]) => void,
): { readonly names: string; readonly text: string } {
  if (
    select.op !== 'SETOP_UNION' ||
    select.sortClause !== undefined ||
    select.limitCount !== undefined ||
    select.withClause !== undefined
  ) {
    return place.unit.missing('a recursive query that is not one UNION', undefined);
  }
  const start = operand(select.larg, place);
  const outputs = start.outputs.map((output): Output => {
    const type = typeOf(output.piece);
    const wide = type !== undefined && isInteger(type) ? plainType('bigint') : type;
    return { ...output, piece: { ...output.piece, typed: wide === undefined ? undefined : standIn(wide), column: undefined } };
  });
  define(outputs);
  const types = outputs.map((output) => typeOf(output.piece));
  const step = operand(select.rarg, place);
  if (step.outputs.length !== outputs.length)
    throw kalamError('INVALID_OPERATION', { reason: 'each UNION query must have the same number of columns' });
  const text = `(${inTypes(start, types, place)}) UNION${select.all === true ? ' ALL' : ''} (${inTypes(step, types, place)})`;
  return { names: outputs.map((output) => quoteName(output.inner)).join(', '), text };
}
