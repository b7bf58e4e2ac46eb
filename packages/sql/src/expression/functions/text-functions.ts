import { createHash } from 'node:crypto';
import { type Cell, cellToText, type DataType, kalamError, type NonNullCell, plainType } from '@kalamdb/protocol';
import type { FunctionBody, FunctionFamily, FunctionOverload } from './function-spec.ts';

/** Longest text that a function makes, in UTF-16 units. */
const RESULT_UNITS_MAX = 16 * 1024 * 1024;

const text = plainType('text');
const int = plainType('int');
const boolean = plainType('boolean');

type Whole = number | bigint;

/** Whether a text has only one-unit code points, so that units can be counted for them. */
function isSimple(value: string): boolean {
  return !/[\ud800-\udbff]/.test(value);
}

function characters(value: string): number {
  return isSimple(value) ? value.length : [...value].length;
}

function bounded(units: number): void {
  if (units > RESULT_UNITS_MAX)
    throw kalamError('INVALID_ARGUMENT', { reason: `the resulting text is longer than ${RESULT_UNITS_MAX} characters` });
}

/** The code points from `start` up to but not including `end`, both 0-based. */
function slice(value: string, start: number, end: number): string {
  if (end <= start) return '';
  return isSimple(value) ? value.slice(start, end) : [...value].slice(start, end).join('');
}

function substring(value: string, from: Whole, count?: Whole): string {
  const start = Number(from) - 1;
  if (count === undefined) return slice(value, Math.max(0, start), Number.MAX_SAFE_INTEGER);
  if (Number(count) < 0) throw kalamError('INVALID_ARGUMENT', { reason: 'negative substring length not allowed' });
  return slice(value, Math.max(0, start), start + Number(count));
}

function left(value: string, count: Whole): string {
  const wanted = Number(count);
  return slice(value, 0, wanted >= 0 ? wanted : characters(value) + wanted);
}

function right(value: string, count: Whole): string {
  const wanted = Number(count);
  const length = characters(value);
  return slice(value, wanted >= 0 ? Math.max(0, length - wanted) : -wanted, length);
}

function pad(value: string, width: Whole, fill: string): string {
  const missing = Number(width) - characters(value);
  if (missing <= 0 || fill === '') return '';
  bounded(missing);
  const units = [...fill];
  let padding = fill.repeat(Math.floor(missing / units.length));
  padding += units.slice(0, missing % units.length).join('');
  return padding;
}

function padded(value: string, width: Whole, make: () => string): string {
  return characters(value) >= Number(width) ? slice(value, 0, Math.max(0, Number(width))) : make();
}

function trimStart(value: string, set: string): string {
  const removed = new Set(set);
  let at = 0;
  for (const character of value) {
    if (!removed.has(character)) break;
    at += character.length;
  }
  return value.slice(at);
}

function trimEnd(value: string, set: string): string {
  const removed = new Set(set);
  const list = [...value];
  while (list.length > 0 && removed.has(list.at(-1) ?? '')) list.pop();
  return list.join('');
}

function position(value: string, wanted: string): number {
  const found = value.indexOf(wanted);
  return found < 0 ? 0 : characters(value.slice(0, found)) + 1;
}

function splitPart(value: string, delimiter: string, index: Whole): string {
  const wanted = Number(index);
  if (wanted === 0) throw kalamError('INVALID_ARGUMENT', { reason: 'field position must not be zero' });
  const parts = delimiter === '' ? [value] : value.split(delimiter);
  return parts.at(wanted > 0 ? wanted - 1 : wanted) ?? '';
}

function initcap(value: string): string {
  return value.toLowerCase().replace(/[\p{L}\p{N}]+/gu, (word) => {
    const [first = ''] = word;
    return first.toUpperCase() + word.slice(first.length);
  });
}

function repeat(value: string, count: Whole): string {
  const times = Math.max(0, Number(count));
  bounded(times * value.length);
  return value.repeat(times);
}

function replace(value: string, from: string, to: string): string {
  if (from === '') return value;
  const parts = value.split(from);
  bounded(value.length + (parts.length - 1) * Math.max(0, to.length - from.length));
  return parts.join(to);
}

function translate(value: string, from: string, to: string): string {
  const targets = [...to];
  const map = new Map<string, string>();
  for (const [index, character] of [...from].entries()) if (!map.has(character)) map.set(character, targets[index] ?? '');
  return [...value].map((character) => map.get(character) ?? character).join('');
}

function character(code: Whole): string {
  const point = Number(code);
  if (point <= 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
    throw kalamError('INVALID_ARGUMENT', { reason: `no character has the code ${point}` });
  return String.fromCodePoint(point);
}

const utf8 = new TextEncoder();

function concat(types: readonly DataType[]): FunctionBody {
  return (...cells: Cell[]) => join(cells, types, '');
}

function concatWithSeparator(types: readonly DataType[]): FunctionBody {
  return (separator: Cell, ...cells: Cell[]) => (separator === null ? null : join(cells, types.slice(1), String(separator)));
}

function join(cells: readonly Cell[], types: readonly DataType[], separator: string): string {
  const parts: string[] = [];
  for (const [index, cell] of cells.entries()) if (cell !== null) parts.push(outputText(cell, types[index] ?? text));
  bounded(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
  return parts.join(separator);
}

/** A value as PostgreSQL's `concat` writes it: like CAST to TEXT, but booleans are `t` and `f`. */
function outputText(cell: NonNullCell, type: DataType): string {
  return typeof cell === 'boolean' ? cellToText(cell, type).slice(0, 1) : cellToText(cell, type);
}

function one(result: DataType, run: (value: string) => Cell): FunctionOverload {
  return { arguments: ['text'], result, body: { run } };
}

const length: readonly FunctionOverload[] = [
  one(int, characters),
  { arguments: ['bytes'], result: int, body: { run: (value: Uint8Array) => value.length } },
];
const octets: readonly FunctionOverload[] = [
  one(int, (value) => utf8.encode(value).length),
  { arguments: ['bytes'], result: int, body: { run: (value: Uint8Array) => value.length } },
];
const substr: readonly FunctionOverload[] = [
  { arguments: ['text', 'integer', 'integer'], optional: 1, result: text, body: { run: substring } },
];
const trimBoth: readonly FunctionOverload[] = [
  {
    arguments: ['text', 'text'],
    optional: 1,
    result: text,
    body: { run: (value: string, set = ' ') => trimEnd(trimStart(value, set), set) },
  },
];
const find: readonly FunctionOverload[] = [{ arguments: ['text', 'text'], result: int, body: { run: position } }];

/** Functions over texts. Positions and lengths count code points. */
export const TEXT_FUNCTIONS: FunctionFamily = {
  upper: [one(text, (value) => value.toUpperCase())],
  lower: [one(text, (value) => value.toLowerCase())],
  initcap: [one(text, initcap)],
  reverse: [one(text, (value) => [...value].reverse().join(''))],
  length,
  char_length: length,
  character_length: length,
  octet_length: octets,
  bit_length: [one(int, (value) => utf8.encode(value).length * 8)],
  ascii: [one(int, (value) => value.codePointAt(0) ?? 0)],
  chr: [{ arguments: ['integer'], result: text, body: { run: character } }],
  md5: [one(text, (value) => createHash('md5').update(value, 'utf8').digest('hex'))],
  concat: [{ arguments: [], rest: 'any', result: text, strict: false, body: { make: concat } }],
  concat_ws: [{ arguments: ['text'], rest: 'any', result: text, strict: false, body: { make: concatWithSeparator } }],
  substr,
  substring: substr,
  left: [{ arguments: ['text', 'integer'], result: text, body: { run: left } }],
  right: [{ arguments: ['text', 'integer'], result: text, body: { run: right } }],
  trim: trimBoth,
  btrim: trimBoth,
  ltrim: [{ arguments: ['text', 'text'], optional: 1, result: text, body: { run: (value: string, set = ' ') => trimStart(value, set) } }],
  rtrim: [{ arguments: ['text', 'text'], optional: 1, result: text, body: { run: (value: string, set = ' ') => trimEnd(value, set) } }],
  replace: [{ arguments: ['text', 'text', 'text'], result: text, body: { run: replace } }],
  translate: [{ arguments: ['text', 'text', 'text'], result: text, body: { run: translate } }],
  repeat: [{ arguments: ['text', 'integer'], result: text, body: { run: repeat } }],
  lpad: [
    {
      arguments: ['text', 'integer', 'text'],
      optional: 1,
      result: text,
      body: { run: (value: string, width: Whole, fill = ' ') => padded(value, width, () => pad(value, width, fill) + value) },
    },
  ],
  rpad: [
    {
      arguments: ['text', 'integer', 'text'],
      optional: 1,
      result: text,
      body: { run: (value: string, width: Whole, fill = ' ') => padded(value, width, () => value + pad(value, width, fill)) },
    },
  ],
  position: find,
  strpos: find,
  starts_with: [
    { arguments: ['text', 'text'], result: boolean, body: { run: (value: string, prefix: string) => value.startsWith(prefix) } },
  ],
  ends_with: [{ arguments: ['text', 'text'], result: boolean, body: { run: (value: string, suffix: string) => value.endsWith(suffix) } }],
  contains: [{ arguments: ['text', 'text'], result: boolean, body: { run: (value: string, part: string) => value.includes(part) } }],
  split_part: [{ arguments: ['text', 'text', 'integer'], result: text, body: { run: splitPart } }],
  to_hex: [
    {
      arguments: ['integer'],
      result: text,
      body: { run: (value: Whole) => BigInt.asUintN(typeof value === 'bigint' ? 64 : 32, BigInt(value)).toString(16) },
    },
  ],
};

/** `a || b`: NULL if one of them is NULL; what is not a text is written as one. */
export function textConcatenation(types: readonly DataType[]): (a: NonNullCell, b: NonNullCell) => string {
  const [left = text, right = text] = types;
  return (a, b) => {
    const joined = cellToText(a, left) + cellToText(b, right);
    bounded(joined.length);
    return joined;
  };
}
