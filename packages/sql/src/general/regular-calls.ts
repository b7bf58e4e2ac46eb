import { plainType } from '@kalamdb/protocol';
import { quoteText } from './duckdb-text.ts';
import { foreignPiece, listPiece, type Piece, piece } from './piece.ts';
import type { Place } from './scope.ts';

const text = plainType('text');
const bigint = plainType('bigint');
const boolean = plainType('boolean');

/** Where functions over regular expressions take their flags, counted from 0. */
const FLAGS_AT: Readonly<Record<string, number>> = {
  regexp_replace: 3,
  regexp_match: 2,
  regexp_matches: 2,
  regexp_split_to_array: 2,
  regexp_split_to_table: 2,
  regexp_like: 2,
};

/** See {@link regularCall}. */
export interface RegularCall {
  readonly value: string;
  readonly pattern: string;
  /** The pattern as written, if it is. */
  readonly written: string | undefined;
  /** DuckDB's options; a dot means every character, as in PostgreSQL. */
  readonly options: string;
  readonly global: boolean;
}

/** What a function over regular expressions is asked for; `undefined`: another function, or other arguments. */
export function regularCall(name: string, operands: readonly Piece[], place: Place): RegularCall | undefined {
  const [value, pattern] = operands;
  const at = FLAGS_AT[name];
  if (value === undefined || pattern === undefined || !name.startsWith('regexp_')) return undefined;
  if (operands.length > (at ?? 1) + 1) return undefined;
  const { values } = place.unit;
  const written = values.constant(pattern);
  return {
    value: values.as(value, text),
    pattern: values.as(pattern, text),
    written: typeof written === 'string' ? written : undefined,
    ...flagsOf(at === undefined ? undefined : operands[at], place),
  };
}

/** A function over regular expressions; `undefined`: another function. */
export function writeRegularCall(name: string, operands: readonly Piece[], place: Place): Piece | undefined {
  const call = regularCall(name, operands, place);
  if (call === undefined) return undefined;
  if (name === 'regexp_replace') return operands.length < 3 ? undefined : replaced(call, operands[2], place);
  if (name === 'regexp_count' || name === 'regexp_instr' || name === 'regexp_substr') return counted(name, call);
  return matched(name, call, place);
}

function flagsOf(flags: Piece | undefined, { unit }: Place): { readonly options: string; readonly global: boolean } {
  if (flags === undefined) return { options: "'s'", global: false };
  const written = unit.values.constant(flags);
  if (typeof written !== 'string' || !/^[gics]*$/.test(written)) return unit.missing('these flags of a regular expression', undefined);
  const folds = written.lastIndexOf('i') > written.lastIndexOf('c');
  return { options: `'s${folds ? 'i' : ''}'`, global: written.includes('g') };
}

function replaced(call: RegularCall, by: Piece | undefined, { unit }: Place): Piece | undefined {
  if (by === undefined) return undefined;
  const options = call.global ? call.options.replace("'s", "'sg") : call.options;
  const replacement = unit.values.as(by, text);
  const written = unit.values.constant(by);
  // PostgreSQL's \& is the whole match, DuckDB's \0.
  const whole = typeof written === 'string' ? quoteText(written.replaceAll('\\&', '\\0')) : replacement;
  return piece(`regexp_replace(${call.value}, ${call.pattern}, ${written === null ? replacement : whole}, ${options})`, text);
}

function counted(name: string, { value, pattern, options }: RegularCall): Piece {
  switch (name) {
    case 'regexp_count':
      return piece(`CAST(len(regexp_extract_all(${value}, ${pattern}, 0, ${options})) AS BIGINT)`, bigint);
    case 'regexp_substr':
      return piece(`nullif(regexp_extract(${value}, ${pattern}, 0, ${options}), '')`, text);
    default: {
      const before = `length(list_extract(string_split_regex(${value}, ${pattern}, ${options}), 1))`;
      return piece(`CAST(CASE WHEN regexp_matches(${value}, ${pattern}, ${options}) THEN ${before} + 1 ELSE 0 END AS BIGINT)`, bigint);
    }
  }
}

function matched(name: string, call: RegularCall, place: Place): Piece | undefined {
  const { value, pattern, options } = call;
  const parts = `string_split_regex(${value}, ${pattern}, ${options})`;
  switch (name) {
    case 'regexp_like':
      return piece(`regexp_matches(${value}, ${pattern}, ${options})`, boolean);
    case 'regexp_split_to_array':
      return foreignPiece(parts, 'list', text);
    case 'regexp_split_to_table':
      return piece(`unnest(${parts})`, text);
    case 'regexp_match':
      return foreignPiece(`(CASE WHEN regexp_matches(${value}, ${pattern}, ${options}) THEN ${firstMatch(call, place)} END)`, 'list', text);
    case 'regexp_matches': {
      const list = allMatches(call, place);
      return foreignPiece(`unnest(${list.text})`, 'list', text);
    }
    default:
      return undefined;
  }
}

function firstMatch({ value, pattern, options, written }: RegularCall, place: Place): string {
  const groups = groupsOf(written, place);
  return `[${groups.map((group) => `regexp_extract(${value}, ${pattern}, ${group}, ${options})`).join(', ')}]`;
}

/** The lists of groups of the first match, or of all. */
export function allMatches(call: RegularCall, place: Place): Piece {
  const item = foreignPiece('', 'list', text);
  const { value, pattern, options, written, global } = call;
  if (!global) {
    const first = `CASE WHEN regexp_matches(${value}, ${pattern}, ${options}) THEN [${firstMatch(call, place)}] END`;
    return listPiece(`(${first})`, item);
  }
  const all = (group: number): string => `regexp_extract_all(${value}, ${pattern}, ${group}, ${options})`;
  const groups = groupsOf(written, place).map((group) => `list_extract(${all(group)}, m)`);
  return listPiece(`list_transform(generate_series(CAST(1 AS BIGINT), len(${all(0)})), lambda m: [${groups.join(', ')}])`, item);
}

/** The numbers of a pattern's groups; a pattern without any is one. */
function groupsOf(written: string | undefined, { unit }: Place): readonly number[] {
  if (written === undefined) return unit.missing('groups of a computed regular expression', undefined);
  const count = [...written.replace(/\\[\s\S]|\[\^?\]?[^\]]*\]/g, '').matchAll(/\((?!\?)/g)].length;
  return count === 0 ? [0] : Array.from({ length: count }, (_, index) => index + 1);
}

/** `substring(text FROM pattern)`: its first group, or all of the match. */
export function writePart(value: Piece, pattern: Piece, place: Place): Piece {
  const { values } = place.unit;
  const written = values.constant(pattern);
  if (typeof written !== 'string') return place.unit.missing('SUBSTRING with a computed pattern', undefined);
  const [of, regular] = [values.as(value, text), quoteText(written)];
  const [group = 0] = groupsOf(written, place);
  return piece(`(CASE WHEN regexp_matches(${of}, ${regular}, 's') THEN regexp_extract(${of}, ${regular}, ${group}, 's') END)`, text);
}
