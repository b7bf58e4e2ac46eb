import { type DataType, KalamError, kalamError, parseTypeName } from '@kalamdb/protocol';
import type { Node, TypeName } from 'libpg-query';
import { errorPosition } from '../../lexer/position.ts';
import { nameText } from './converter.ts';
import type { SourceText } from './source-text.ts';

/** Types that PostgreSQL has and the dialect has not, by their internal names. */
const MISSING_TYPES: ReadonlyMap<string, string> = new Map([
  ['interval', 'INTERVAL'],
  ['bit', 'bit strings'],
  ['varbit', 'bit strings'],
]);

/**
 * The data type that a cast names, or the text that says what about it is not built. The grammar turns FLOAT and DOUBLE PRECISION into
 * one name, so the words themselves are read where the dialect tells them apart.
 * Throws UNSUPPORTED_TYPE and INVALID_TYPE_PARAMETER with their position.
 */
export function castType(source: SourceText, typeName: TypeName): DataType | string {
  if (typeName.arrayBounds !== undefined) return 'arrays';
  const names = (typeName.names ?? []).map(nameText);
  const internal = names[0] === 'pg_catalog' && names.length > 1;
  const last = names[names.length - 1] ?? '';
  const missing = internal || names.length === 1 ? MISSING_TYPES.get(last) : undefined;
  if (missing !== undefined) return missing;
  const position = source.position(typeName.location);
  try {
    return parseTypeName(internal ? internalName(source, position, last) : names.join('.'), (typeName.typmods ?? []).map(typeParameter));
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    throw new KalamError(error.code, error.message, { cause: error, position: errorPosition(source.text, position) });
  }
}

function internalName(source: SourceText, position: number, name: string): string {
  if (name === 'bpchar') return 'char';
  const word = source.wordAt(position);
  return word === 'float' || word === 'real' || word === 'double' ? word : name;
}

function typeParameter(node: Node): number {
  if ('A_Const' in node && node.A_Const.ival !== undefined) return node.A_Const.ival.ival ?? 0;
  throw kalamError('INVALID_TYPE_PARAMETER', { reason: 'type parameters must be integers' });
}
