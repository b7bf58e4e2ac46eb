import { invalidArgument } from '../client-error.ts';
import { KalamCellValue } from '../rows/cell-value.ts';
import { SeqId } from '../rows/seq-id.ts';

const depthMax = 64;

/**
 * Writes JSON in which a bigint and a {@link SeqId} are bare integers, which `JSON.stringify` cannot do and the server insists on.
 * Dates become ISO 8601, cells what they hold, `undefined` is left out of objects and is null in arrays. Refuses what JSON would silently turn into null.
 */
export function jsonText(value: unknown, depth = 0): string {
  if (depth > depthMax) throw invalidArgument('value', `deeper than ${depthMax} levels`);
  if (value instanceof SeqId) return value.toString();
  if (value instanceof KalamCellValue) return jsonText(value.toJson(), depth + 1);
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'number':
      if (!Number.isFinite(value)) throw invalidArgument('value', `${value} has no JSON form`);
      return JSON.stringify(value);
    case 'undefined':
      return 'null';
    case 'boolean':
    case 'string':
      return JSON.stringify(value);
    case 'object':
      return value === null ? 'null' : objectText(value, depth);
    default:
      throw invalidArgument('value', `a ${typeof value} has no JSON form`);
  }
}

function objectText(value: object, depth: number): string {
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item, depth + 1)).join(',')}]`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return jsonText(value.toJSON(), depth + 1);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${jsonText(member, depth + 1)}`).join(',')}}`;
}
