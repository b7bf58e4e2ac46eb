import type { AccessLevel, FlushPolicy, TableKind, TableOptions } from '../../statement/ast.ts';
import { durationSeconds } from './duration.ts';
import { checkFlushPolicy, parseFlushPolicy } from './flush-policy.ts';
import type { OptionValue, WrittenOptions } from './table-options.ts';
import type { TokenReader } from './token-reader.ts';

const KINDS: readonly TableKind[] = ['user', 'shared', 'stream'];
const ACCESS_LEVELS: readonly AccessLevel[] = ['public', 'private', 'restricted', 'dba'];
const HOUR_SECONDS = 3600;
const USER_ID_VARIABLES: readonly string[] = [`\${user_id}`, '{userId}', '{user_id}'];

/** Which kind of table each option is for. */
const OWNERS: readonly (readonly [string, TableKind])[] = [
  ['TTL_SECONDS', 'stream'],
  ['RETENTION', 'stream'],
  ['EPHEMERAL', 'stream'],
  ['MAX_BUFFER', 'stream'],
  ['SCOPE', 'stream'],
  ['ACCESS_LEVEL', 'shared'],
  ['USE_USER_STORAGE', 'user'],
];

/** The kind and the options of a table. */
export interface ResolvedOptions {
  readonly tableKind: TableKind | undefined;
  readonly options: TableOptions;
}

/** Checks the options for form and for the kind of the table. `keyword`: the kind that stands before TABLE. */
export function resolveOptions(reader: TokenReader, keyword: TableKind | undefined, written: WrittenOptions): ResolvedOptions {
  const tableKind = resolveKind(reader, keyword, written);
  const { options } = written;
  const kind = tableKind ?? 'shared';
  for (const [name, owner] of OWNERS) {
    const option = options.get(name);
    if (option !== undefined && owner !== kind)
      throw reader.refuse(`${name} is only supported for ${owner.toUpperCase()} tables`, option.position);
  }
  checkLocation(reader, kind, written);
  const stream = kind === 'stream' ? streamOptions(reader, options) : NO_STREAM;
  return {
    tableKind,
    options: {
      storageId: storageId(reader, written),
      useUserStorage: optionOf(options, 'USE_USER_STORAGE', (option) => booleanValue(reader, option)),
      flushPolicy: flushPolicy(reader, written),
      accessLevel: optionOf(options, 'ACCESS_LEVEL', (option) => choice(reader, option, ACCESS_LEVELS)),
      deletedRetentionHours: deletedRetention(reader, options),
      ...stream,
    },
  };
}

function optionOf<T>(options: ReadonlyMap<string, OptionValue>, name: string, read: (option: OptionValue) => T): T | undefined {
  const option = options.get(name);
  return option === undefined ? undefined : read(option);
}

function resolveKind(reader: TokenReader, keyword: TableKind | undefined, written: WrittenOptions): TableKind | undefined {
  const option = written.options.get('TYPE');
  if (option !== undefined) {
    const type = KINDS.find((kind) => kind === option.value.toLowerCase());
    if (type === undefined) {
      throw reader.refuse(`Invalid TYPE option '${option.value}'. Supported: USER, SHARED, STREAM`, option.position);
    }
    if (keyword !== undefined && keyword !== type) {
      const text = `CREATE ${capitalised(keyword)} TABLE vs TYPE option ${capitalised(type)}`;
      throw reader.refuse(`Conflicting table type definitions: ${text}`, option.position);
    }
    return type;
  }
  if (keyword !== undefined) return keyword;
  if (hasOldStreamOption(written.options)) return 'stream';
  return written.location?.kind === 'path' && hasUserId(written.location.text) ? 'user' : undefined;
}

function capitalised(kind: TableKind): string {
  return kind.charAt(0).toUpperCase() + kind.slice(1);
}

function hasOldStreamOption(options: ReadonlyMap<string, OptionValue>): boolean {
  return options.has('RETENTION') || options.has('EPHEMERAL') || options.has('MAX_BUFFER');
}

function hasUserId(path: string): boolean {
  return USER_ID_VARIABLES.some((variable) => path.includes(variable));
}

/** A path is checked as the older syntax demands, but rows live where the storage says. */
function checkLocation(reader: TokenReader, kind: TableKind, { location }: WrittenOptions): void {
  if (location === undefined) return;
  if (kind === 'stream') throw reader.refuse('LOCATION is not supported for STREAM tables', location.position);
  if (location.kind === 'reference') return;
  if (location.text.trim() === '') throw reader.refuse('LOCATION cannot be empty', location.position);
  const userPath = hasUserId(location.text);
  if (kind === 'user' && !userPath) throw reader.refuse(`The LOCATION of a USER table must contain \${user_id}`, location.position);
  if (kind === 'shared' && userPath) throw reader.refuse(`The LOCATION of a SHARED table must not contain \${user_id}`, location.position);
}

function storageId(reader: TokenReader, { options, location }: WrittenOptions): string | undefined {
  const option = options.get('STORAGE_ID');
  const reference = location?.kind === 'reference' ? location : undefined;
  if (option !== undefined && reference !== undefined)
    throw reader.refuse('STORAGE_ID and LOCATION REFERENCE exclude each other', reference.position);
  const id = (option?.value ?? reference?.text)?.toLowerCase();
  if (id !== undefined && !/^[a-z0-9_-]{1,64}$/.test(id)) {
    throw reader.refuse(`Invalid STORAGE_ID '${id}'. Only alphanumeric characters, underscores and dashes are allowed`, option?.position);
  }
  return id;
}

function flushPolicy(reader: TokenReader, { options, flush }: WrittenOptions): FlushPolicy | undefined {
  const option = options.get('FLUSH_POLICY');
  if (option !== undefined && flush !== undefined) throw reader.refuse('FLUSH POLICY is given twice', flush.position);
  if (option !== undefined) return parseFlushPolicy(reader, option);
  if (flush === undefined) return undefined;
  const intervalSeconds = flush.interval === undefined ? undefined : durationSeconds(flush.interval);
  if (flush.interval !== undefined && intervalSeconds === undefined) {
    throw reader.refuse(`Invalid FLUSH POLICY interval '${flush.interval}'. Expected e.g. '5 minutes'`, flush.position);
  }
  return checkFlushPolicy(reader, { rows: flush.rows, intervalSeconds }, flush.position);
}

function deletedRetention(reader: TokenReader, options: ReadonlyMap<string, OptionValue>): TableOptions['deletedRetentionHours'] {
  const duration = options.get('DELETED_RETENTION');
  if (duration === undefined) return optionOf(options, 'DELETED_RETENTION_HOURS', (option) => wholeNumber(reader, option));
  if (duration.value.toLowerCase() === 'off') return 'off';
  const seconds = durationSeconds(duration.value);
  if (seconds === undefined) {
    throw reader.refuse(`Invalid DELETED_RETENTION '${duration.value}'. Expected e.g. '7d' or 'off'`, duration.position);
  }
  return Math.ceil(seconds / HOUR_SECONDS);
}

type StreamOptions = Pick<TableOptions, 'ttlSeconds' | 'streamScope' | 'ephemeral' | 'maxBuffer'>;

const NO_STREAM: StreamOptions = { ttlSeconds: undefined, streamScope: undefined, ephemeral: undefined, maxBuffer: undefined };

function streamOptions(reader: TokenReader, options: ReadonlyMap<string, OptionValue>): StreamOptions {
  const ttlSeconds = timeToLive(reader, options);
  const maxBuffer = optionOf(options, 'MAX_BUFFER', (option) => wholeNumber(reader, option));
  if (maxBuffer === 0) throw reader.refuse('MAX_BUFFER must be at least 1', options.get('MAX_BUFFER')?.position);
  if (ttlSeconds === undefined && maxBuffer === undefined) throw reader.refuse("STREAM tables must specify 'TTL_SECONDS'", 0);
  const scope = optionOf(options, 'SCOPE', (option) => choice(reader, option, ['user', 'shared'] as const));
  return {
    ttlSeconds,
    streamScope: scope ?? (hasOldStreamOption(options) ? 'shared' : undefined),
    ephemeral: optionOf(options, 'EPHEMERAL', (option) => booleanValue(reader, option)),
    maxBuffer,
  };
}

function timeToLive(reader: TokenReader, options: ReadonlyMap<string, OptionValue>): number | undefined {
  const retention = options.get('RETENTION');
  if (retention === undefined) return optionOf(options, 'TTL_SECONDS', (option) => wholeNumber(reader, option));
  if (options.has('TTL_SECONDS')) throw reader.refuse('TTL_SECONDS and RETENTION exclude each other', retention.position);
  const seconds = durationSeconds(retention.value);
  if (seconds === undefined) throw reader.refuse(`Invalid RETENTION '${retention.value}'. Expected e.g. '10s'`, retention.position);
  return seconds;
}

function wholeNumber(reader: TokenReader, option: OptionValue): number {
  if (!/^\d{1,15}$/.test(option.value))
    throw reader.refuse(`Invalid ${option.name} '${option.value}'. Expected a whole number`, option.position);
  return Number(option.value);
}

function booleanValue(reader: TokenReader, option: OptionValue): boolean {
  const value = option.value.toLowerCase();
  if (value !== 'true' && value !== 'false')
    throw reader.refuse(`Invalid ${option.name} '${option.value}'. Expected TRUE or FALSE`, option.position);
  return value === 'true';
}

function choice<T extends string>(reader: TokenReader, option: OptionValue, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === option.value.toLowerCase());
  if (found !== undefined) return found;
  throw reader.refuse(`Invalid ${option.name} '${option.value}'. Supported: ${allowed.join(', ').toUpperCase()}`, option.position);
}
