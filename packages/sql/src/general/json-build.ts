import { kalamError, plainType } from '@kalamdb/protocol';
import { isInstant, isInteger } from '../expression/type-families.ts';
import { castText } from './duckdb-text.ts';
import { documentPiece, fieldAt, itemOf, type Piece, type RowField, typeOf } from './piece.ts';
import type { Place } from './scope.ts';
import { shownText } from './shown-text.ts';

const json = plainType('json');
const text = plainType('text');

/** A value of DuckDB's JSON type: numbers, booleans, texts, lists, rows and documents as JSON has them; the rest as texts. */
export function jsonValue(of: Piece, depth = 0): string {
  const type = typeOf(of);
  if (type === undefined) return foreignValue(of, depth);
  if (type.kind === 'json' || of.document === true) return `CAST(${of.text} AS JSON)`;
  if (isInteger(type) || type.kind === 'boolean' || type.kind === 'double' || type.kind === 'float' || type.kind === 'decimal')
    return `to_json(${of.text})`;
  if (isInstant(type)) return `to_json(replace(CAST(${of.text} AS VARCHAR), ' ', 'T'))`;
  if (type.kind === 'embedding') return `to_json(${of.text})`;
  return `to_json(${castText(of.text, type, text)})`;
}

function foreignValue(of: Piece, depth: number): string {
  if (of.foreign === 'list') {
    const item = itemOf(of, `j${depth}`);
    return item === undefined
      ? `to_json(${of.text})`
      : `to_json(list_transform(${of.text}, lambda j${depth}: ${jsonValue(item, depth + 1)}))`;
  }
  const { fields } = of;
  if (of.foreign !== 'row' || fields === undefined) return `to_json(${shownText(of)})`;
  const pairs = fields.flatMap((field: RowField, index) => {
    const value = fieldAt(of, index);
    return value === undefined ? [] : [`'${field.name.replaceAll("'", "''")}', ${jsonValue(value, depth)}`];
  });
  return `(CASE WHEN ${of.text} IS NULL THEN NULL ELSE json_object(${pairs.join(', ')}) END)`;
}

/** A document made of a value of DuckDB's JSON type. */
export function jsonDocument(value: string): Piece {
  return documentPiece(`CAST(${value} AS VARCHAR)`, json);
}

/** Functions that make documents; `undefined`: another function. */
export function writeJsonBuilder(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const [first, second] = operands;
  switch (name) {
    case 'json_build_array':
    case 'jsonb_build_array':
      return jsonDocument(`json_array(${operands.map((of) => valueOrNull(of, place)).join(', ')})`);
    case 'json_build_object':
    case 'jsonb_build_object':
      return buildObject(operands, place);
    case 'to_json':
    case 'to_jsonb':
      return first === undefined || second !== undefined ? undefined : jsonDocument(jsonValue(first));
    case 'row_to_json':
      return first?.foreign === 'row' && second === undefined ? jsonDocument(jsonValue(first)) : undefined;
    case 'array_to_json':
      return first?.foreign === 'list' && second === undefined ? jsonDocument(jsonValue(first)) : undefined;
    default:
      return undefined;
  }
}

function valueOrNull(of: Piece, { unit }: Place): string {
  return unit.values.constant(of) === null ? "CAST('null' AS JSON)" : `coalesce(${jsonValue(of)}, CAST('null' AS JSON))`;
}

function buildObject(operands: readonly Piece[], place: Place): Piece {
  if (operands.length % 2 !== 0) throw kalamError('INVALID_ARGUMENT', { reason: 'argument list must have even number of elements' });
  const { values } = place.unit;
  const pairs: string[] = [];
  for (let index = 0; index + 1 < operands.length; index += 2) {
    const [key, value] = [operands[index], operands[index + 1]];
    if (key === undefined || value === undefined) continue;
    const name = values.as(key, text, 'explicit');
    pairs.push(`coalesce(${name}, error('null value not allowed for object key')), ${valueOrNull(value, place)}`);
  }
  return jsonDocument(`json_object(${pairs.join(', ')})`);
}
