import { kalamError, plainType } from '@kalamdb/protocol';
import type { Node, SelectStmt } from 'libpg-query';
import type { Piece } from './piece.ts';
import type { Output, Place } from './scope.ts';
import { sortedText } from './sorting.ts';

/** The output that a whole number, as written, means. */
export function ordinalOf(node: Node, outputs: readonly Output[], where: string, place: Place): number | undefined {
  if (!('A_Const' in node)) return undefined;
  const { ival, location } = node.A_Const;
  const position = ival?.ival ?? 0;
  if (ival !== undefined && position >= 1 && position <= outputs.length) return position - 1;
  const reason = ival === undefined ? `non-integer constant in ${where}` : `${where} position ${position} is not in select list`;
  return place.unit.fail(location, kalamError('INVALID_OPERATION', { reason }));
}

/** The output that a plain name means. */
export function aliasOf(node: Node, outputs: readonly Output[], place: Place): number | undefined {
  if (!('ColumnRef' in node) || node.ColumnRef.fields?.length !== 1) return undefined;
  const name = place.unit.name(node.ColumnRef.fields[0]);
  const index = outputs.findIndex((output) => output.name === name);
  const first = outputs[index];
  if (first !== undefined && outputs.some((output) => output.name === name && output.piece.text !== first.piece.text)) {
    return place.unit.fail(node.ColumnRef.location, kalamError('COLUMN_AMBIGUOUS', { column: name }));
  }
  return index < 0 ? undefined : index;
}

/** ORDER BY of a query whose input is out of sight (set operations, VALUES): names and numbers of its columns. */
export function sortedOutputs(items: readonly Node[], outputs: readonly Output[], place: Place): string {
  return sortedBy(items, outputs, place, {
    other: (node) =>
      place.unit.fail(
        'ColumnRef' in node ? node.ColumnRef.location : undefined,
        kalamError('INVALID_OPERATION', { reason: 'ORDER BY of a set operation takes the names of its columns' }),
      ),
  });
}

/** What sort keys are written as. */
export interface SortKeys {
  /** An expression that is no output. */
  other(node: Node): string;
  /** An output, by its place from 0; its ordinal unless this says otherwise. */
  output?(index: number): string | undefined;
}

/** ORDER BY: numbers and aliases of outputs, else expressions. */
export function sortedBy(items: readonly Node[], outputs: readonly Output[], place: Place, keys: SortKeys): string {
  if (items.length === 0) return '';
  const terms = items.map((item) => {
    const node = 'SortBy' in item ? item.SortBy.node : undefined;
    if (node === undefined) return place.unit.missing('this ORDER BY', undefined);
    const index = ordinalOf(node, outputs, 'ORDER BY', place) ?? aliasOf(node, outputs, place);
    return sortedText(index === undefined ? keys.other(node) : (keys.output?.(index) ?? String(index + 1)), item, place);
  });
  return ` ORDER BY ${terms.join(', ')}`;
}

/** LIMIT and OFFSET, or OFFSET alone. */
export function rowLimits(select: SelectStmt, place: Place, limits: boolean = true): string {
  return `${limits ? rowCount('LIMIT', select.limitCount, place) : ''}${rowCount('OFFSET', select.limitOffset, place)}`;
}

/** The place of the last row that LIMIT and OFFSET leave, counted from 1. */
export function rowsThrough(select: SelectStmt, place: Place): string {
  const count = (clause: 'LIMIT' | 'OFFSET', node: Node | undefined): string => rowCount(clause, node, place).replace(` ${clause} `, '');
  return [count('LIMIT', select.limitCount), count('OFFSET', select.limitOffset)].filter((text) => text !== '').join(' + ');
}

function rowCount(clause: 'LIMIT' | 'OFFSET', node: Node | undefined, place: Place): string {
  if (node === undefined) return '';
  const { values } = place.unit;
  const count: Piece = place.writer.expression(node, { ...place, scopes: place.scopes.slice(1), noAggregates: clause });
  const cell = values.constant(count);
  if (cell === null) return '';
  return place.unit.near(node, () => {
    const text = values.as(count, plainType('bigint'), count.typed?.kind === 'value' ? 'explicit' : 'implicit');
    if (cell !== undefined && Number(cell) < 0) throw kalamError('INVALID_ARGUMENT', { reason: `${clause} must not be negative` });
    return ` ${clause} (${text})`;
  });
}
