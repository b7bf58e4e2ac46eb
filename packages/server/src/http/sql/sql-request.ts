import { type Cell, type JsonValue, jsonString, KalamError, kalamError } from '@kalamdb/protocol';
import { asObject, malformed, nameOf, parseBody, seqOf } from '../request-body.ts';
import { fileUse, mayNameFiles } from './file-placeholders.ts';

/** The extension that a request names for the names of commits. */
const COMMIT_TOKEN = 'commit-token';

/** What may be asked for as a namespace: anything but what could be taken for a path. */
const NAMESPACE = /^(?!.*\.\.)[^/\\\0]+$/s;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A request of `POST /v1/api/sql`, understood. */
export interface SqlRequest {
  readonly sql: string;
  readonly parameters: readonly Cell[];
  readonly namespace: string | undefined;
  /** Statements that write name their commits (docs/live-extensions.md). */
  readonly namesCommits: boolean;
  /** The commit that the answer has to be read behind. */
  readonly atLeast: bigint | undefined;
}

/**
 * Reads the body of a SQL request (wire-protocol 3.1, 3.8). Throws INVALID_INPUT (`Invalid JSON payload: …`), also for a
 * `namespace_id` that is empty or could be a path, or a statement that names files, and INVALID_PARAMETER. Lengths and counts
 * are the engine's to check.
 */
export function readSqlRequest(contentType: string | undefined, body: unknown): SqlRequest {
  const { params, ...request } = readMembers(contentType, body);
  const { sql } = request;
  if (mayNameFiles(sql) && fileUse(sql).placeholders.length > 0) {
    throw kalamError('INVALID_INPUT', { reason: 'FILE placeholders require multipart/form-data' });
  }
  return { ...request, parameters: params.map((value, index) => readParameter(value, index + 1)) };
}

interface Members extends Omit<SqlRequest, 'parameters'> {
  readonly params: readonly JsonValue[];
}

function readMembers(contentType: string | undefined, body: unknown): Members {
  try {
    const object = asObject(parseBody(contentType, body));
    const sql = object['sql'];
    const params = object['params'];
    const namespace = object['namespace_id'];
    if (sql === undefined) throw malformed('missing field `sql`');
    if (typeof sql !== 'string') throw malformed(`invalid type: ${nameOf(sql)}, expected a string`);
    if (!isList(params) && params !== undefined && params !== null) throw malformed(`invalid type: ${nameOf(params)}, expected a sequence`);
    if (namespace !== undefined && namespace !== null && typeof namespace !== 'string') {
      throw malformed(`invalid type: ${nameOf(namespace)}, expected a string`);
    }
    if (typeof namespace === 'string' && !isNamespace(namespace)) {
      throw malformed(`invalid value: ${jsonString(namespace.slice(0, 64))}, expected a namespace`);
    }
    const extensions = readExtensions(object['extensions']);
    const atLeast = readCommit(object['at_least']);
    return { sql, params: params ?? [], namespace: namespace ?? undefined, namesCommits: extensions.includes(COMMIT_TOKEN), atLeast };
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    throw kalamError('INVALID_INPUT', { reason: `Invalid JSON payload: ${error.message}` });
  }
}

function readExtensions(value: JsonValue | undefined): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  if (!isList(value) || value.some((name) => typeof name !== 'string'))
    throw malformed(`invalid type: ${nameOf(value)}, expected a list of strings for \`extensions\``);
  return value;
}

function readCommit(value: JsonValue | undefined): bigint | undefined {
  if (value === undefined || value === null) return undefined;
  const seq = seqOf(value);
  if (seq === undefined) throw malformed(`invalid value: ${nameOf(value)}, expected a commit for \`at_least\``);
  return seq;
}

/** Whether a text may be asked for as a namespace. */
export function isNamespace(text: string): boolean {
  return NAMESPACE.test(text);
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/**
 * A JSON parameter as a cell: null, boolean and string as they are; an integer becomes a 64-bit one, any other number a
 * double. `index` counts from 1. Throws INVALID_PARAMETER.
 */
export function readParameter(value: JsonValue, index: number): Cell {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case 'bigint':
      if (value < INT64_MIN || value > INT64_MAX)
        throw kalamError('INVALID_PARAMETER', { parameter: `$${index}`, reason: 'the integer has more than 64 bits' });
      return value;
    default:
      if (value === null) return null;
      throw kalamError('INVALID_PARAMETER', {
        parameter: `$${index}`,
        reason: `${Array.isArray(value) ? 'Array' : 'Object'} parameters not yet supported`,
      });
  }
}
