import { type Cell, kalamError, plainType } from '@kalamdb/protocol';
import { jsonAsText, jsonHasKey, jsonKeys, jsonKind, jsonLength, jsonStep } from '../json-text.ts';
import { INT64_MAX, INT64_MIN } from '../numeric.ts';
import type { FunctionFamily, FunctionOverload } from './function-spec.ts';

const text = plainType('text');

type Step = string | number | bigint;

function walk(document: string, steps: readonly Step[]): string | undefined {
  let at: string | undefined = document;
  for (const step of steps) {
    if (at === undefined) return undefined;
    at = jsonStep(at, typeof step === 'bigint' ? Number(step) : step);
  }
  return at;
}

/** `doc -> step`: the JSON text found there. */
export function jsonArrow(document: string, step: Step): Cell {
  return walk(document, [step]) ?? null;
}

/** `doc ->> step`: the same as text, without the quotes of a string; NULL for JSON null. */
export function jsonTextArrow(document: string, step: Step): Cell {
  const found = walk(document, [step]);
  return found === undefined ? null : (jsonAsText(found) ?? null);
}

/** `doc ? key`; false for NULL and for what has no keys. */
export function jsonExists(document: Cell, ...steps: (Step | null)[]): Cell {
  if (typeof document !== 'string') return false;
  const key = steps.at(-1) ?? null;
  if (key === null) return null;
  const parent = walk(
    document,
    steps.slice(0, -1).filter((step) => step !== null),
  );
  if (parent === undefined) return false;
  return typeof key === 'string' ? jsonHasKey(parent, key) : walk(parent, [key]) !== undefined;
}

function found(document: string, steps: readonly Step[], kind: ReturnType<typeof jsonKind>): string | undefined {
  const value = walk(document, steps);
  return value !== undefined && jsonKind(value) === kind ? value.trim() : undefined;
}

function integer(document: string, ...steps: Step[]): Cell {
  const value = found(document, steps, 'number');
  if (value === undefined || !/^-?\d+$/.test(value)) return null;
  const number = BigInt(value);
  return number > INT64_MAX || number < INT64_MIN ? null : number;
}

function float(document: string, ...steps: Step[]): Cell {
  const number = Number(found(document, steps, 'number') ?? Number.NaN);
  return Number.isFinite(number) ? number : null;
}

function bool(document: string, ...steps: Step[]): Cell {
  const value = found(document, steps, 'boolean');
  return value === undefined ? null : value === 'true';
}

function string(document: string, ...steps: Step[]): Cell {
  const value = found(document, steps, 'string');
  return value === undefined ? null : (jsonAsText(value) ?? null);
}

function asText(document: string, ...steps: Step[]): Cell {
  const value = walk(document, steps);
  return value === undefined ? null : (jsonAsText(value) ?? null);
}

function length(document: string, ...steps: Step[]): Cell {
  const value = walk(document, steps);
  const count = value === undefined ? undefined : jsonLength(value);
  return count === undefined ? null : String(count);
}

function keys(document: string, ...steps: Step[]): Cell {
  const value = walk(document, steps);
  const list = value === undefined ? undefined : jsonKeys(value);
  return list === undefined ? null : JSON.stringify(list);
}

function path(result: FunctionOverload['result'], run: (document: string, ...steps: Step[]) => Cell): readonly FunctionOverload[] {
  return [
    {
      arguments: ['text'],
      rest: 'any',
      result,
      body: {
        make: (types) => {
          for (const type of types.slice(1)) {
            if (type.kind !== 'text' && type.kind !== 'int' && type.kind !== 'bigint' && type.kind !== 'smallint') {
              throw kalamError('TYPE_MISMATCH', { reason: 'a path into a JSON document is made of keys (TEXT) and indexes (INT)' });
            }
          }
          return run;
        },
      },
    },
  ];
}

/**
 * The helpers of sql-dialect B6 over JSON held as text. What is not there, is of another kind, or lies behind malformed
 * text is NULL. `json_length` is TEXT because the original reports unsigned numbers so.
 */
export const JSON_FUNCTIONS: FunctionFamily = {
  json_as_text: path(text, asText),
  json_get_json: path(text, (document, ...steps) => walk(document, steps) ?? null),
  json_get_str: path(text, string),
  json_get_int: path(plainType('bigint'), integer),
  json_get_float: path(plainType('double'), float),
  json_get_bool: path(plainType('boolean'), bool),
  json_length: path(text, length),
  json_object_keys: path(text, keys),
  json_contains: [{ arguments: ['text'], rest: 'any', result: plainType('boolean'), strict: false, body: { run: jsonExists } }],
};
