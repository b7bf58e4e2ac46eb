import type { Readable } from 'node:stream';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { type JsonValue, KalamError, kalamError, parseJson } from '@kalamdb/protocol';
import { errorCodes } from 'fastify';
import { fileUse, mayNameFiles } from './file-placeholders.ts';
import { isNamespace, readParameter, type SqlRequest } from './sql-request.ts';

/** Bytes of one file. */
const FILE_BYTES_MAX = 26_214_400;
/** Files of one request. */
const FILES_MAX = 20;
/** Parts that are not files; three are known, others are passed over. */
const FIELDS_MAX = 20;
/** Bytes of the name of a part. */
const NAME_BYTES_MAX = 512;
/** Bytes and lines of the headers of a part. */
const HEADER_BYTES_MAX = 16_384;
const HEADER_LINES_MAX = 32;
/** What the name of a part with a file begins with. */
const FILE_PREFIX = 'file:';

/** The body of a SQL request that came as a form (wire-protocol 3.2). */
export class SqlForm {
  /** Texts by the name of their part; of several with one name the last. */
  readonly texts: ReadonlyMap<string, string>;
  /** Placeholders of the files that were sent. Their bytes were counted and let go: there is no storage for them yet. */
  readonly files: readonly string[];

  constructor(texts: ReadonlyMap<string, string>, files: readonly string[]) {
    this.texts = texts;
    this.files = files;
  }
}

/**
 * Reads a form as it arrives. Throws INVALID_INPUT for what is no form, FILE_TOO_LARGE, TOO_MANY_FILES, and the HTTP library's
 * error for a body that is too large. What is left of the body after an error is not read here.
 */
export function readForm(payload: Readable, contentType: string, bytesMax: number): Promise<SqlForm> {
  return new Promise((resolve, reject) => {
    const texts = new Map<string, string>();
    const files: string[] = [];
    const parser = parserFor(contentType, bytesMax);
    let bytes = 0;
    const fail = (error: Error): void => {
      payload.off('data', onData);
      payload.off('end', onEnd);
      payload.off('error', fail);
      // Whatever the parser still has to say is about a body that nobody wants any more.
      parser.removeAllListeners().on('error', () => {});
      parser.destroy();
      payload.resume();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > bytesMax) fail(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
      else if (!parser.write(chunk)) {
        payload.pause();
        parser.once('drain', () => payload.resume());
      }
    };
    const onEnd = (): unknown => parser.end();
    parser.on('field', (name, text) => texts.set(name, text));
    parser.on('file', (name, file: BusboyFileStream) => {
      const placeholder = name.slice(FILE_PREFIX.length);
      files.push(placeholder);
      file.on('limit', () => fail(kalamError('FILE_TOO_LARGE', { name: placeholder, bytesMax: FILE_BYTES_MAX })));
      file.on('error', () => fail(broken('the body ended within a part')));
      file.resume();
    });
    parser.on('filesLimit', () => fail(kalamError('TOO_MANY_FILES', { max: FILES_MAX })));
    parser.on('fieldsLimit', () => fail(broken(`more than ${FIELDS_MAX} parts`)));
    parser.on('error', (error: unknown) => fail(broken(error instanceof Error ? error.message : 'no form')));
    parser.on('finish', () => resolve(new SqlForm(texts, files)));
    payload.on('data', onData);
    payload.on('end', onEnd);
    payload.on('error', fail);
  });
}

/**
 * What a form asks for. Throws FORM_WITHOUT_SQL, FORM_PARAMETERS, INVALID_PARAMETER, INVALID_INPUT; NOT_IMPLEMENTED when the
 * statement uses a file. Files that the statement does not name are passed over.
 */
export function formRequest({ texts }: SqlForm): SqlRequest {
  const sql = texts.get('sql') ?? '';
  if (sql.trim() === '') throw kalamError('FORM_WITHOUT_SQL');
  const namespace = texts.get('namespace_id');
  if (namespace !== undefined && !isNamespace(namespace)) throw kalamError('INVALID_INPUT', { reason: 'namespace_id is not a namespace' });
  const parameters = parametersOf(texts.get('params')).map((value, index) => readParameter(value, index + 1));
  refuseFiles(sql);
  return { sql, parameters, namespace, namesCommits: false, atLeast: undefined };
}

function refuseFiles(sql: string): void {
  if (!mayNameFiles(sql)) return;
  const { placeholders, statements } = fileUse(sql);
  if (placeholders.length === 0) return;
  if (statements > 1) throw kalamError('INVALID_INPUT', { reason: 'File uploads require a single SQL statement' });
  throw kalamError('NOT_IMPLEMENTED', { what: 'FILE uploads' });
}

function parametersOf(text: string | undefined): readonly JsonValue[] {
  if (text === undefined || text.trim() === '') return [];
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'no JSON';
    throw kalamError('FORM_PARAMETERS', { reason: `Invalid params JSON: ${reason}` });
  }
  if (!Array.isArray(value)) throw kalamError('FORM_PARAMETERS', { reason: 'Params must be a JSON array' });
  return value as readonly JsonValue[];
}

function parserFor(contentType: string, bytesMax: number): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      isPartAFile: (name) => name?.startsWith(FILE_PREFIX) === true,
      limits: {
        fieldNameSize: NAME_BYTES_MAX,
        fieldSize: bytesMax,
        fields: FIELDS_MAX,
        files: FILES_MAX,
        fileSize: FILE_BYTES_MAX,
        headerPairs: HEADER_LINES_MAX,
        headerSize: HEADER_BYTES_MAX,
      },
    });
  } catch (cause) {
    throw cause instanceof KalamError ? cause : broken(cause instanceof Error ? cause.message : 'no form');
  }
}

function broken(reason: string): Error {
  return kalamError('INVALID_INPUT', { reason: `Invalid multipart payload: ${reason}` });
}
