import { jsonString, type WireType, wireType } from '@kalamdb/protocol';
import type { AccessLevel, DefaultValue, FlushPolicy, TableKind, TableOptions } from '@kalamdb/sql';
import type { TableColumn } from './table.ts';

/** A JSON value that keeps numbers as they were written. */
type Fragment = string;

const members = (entries: readonly (readonly [string, Fragment])[]): Fragment =>
  `{${entries.map(([name, value]) => `${jsonString(name)}:${value}`).join(',')}}`;

const textOrNull = (text: string | undefined): Fragment => (text === undefined ? 'null' : jsonString(text));

/** A literal default as a JSON value. */
function literalJson(value: Extract<DefaultValue, { kind: 'literal' }>): Fragment {
  switch (value.literal) {
    case 'null':
      return 'null';
    case 'boolean':
      return value.text.toLowerCase() === 'true' ? 'true' : 'false';
    case 'integer':
    case 'decimal':
      return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value.text) ? value.text : jsonString(value.text);
    case 'string':
      return jsonString(value.text);
    default:
      return value.literal satisfies never;
  }
}

function defaultJson(value: DefaultValue | undefined): Fragment {
  if (value === undefined) return '"None"';
  if (value.kind === 'literal') return members([['Literal', literalJson(value)]]);
  return members([
    [
      'FunctionCall',
      members([
        ['name', jsonString(value.name)],
        ['args', '[]'],
      ]),
    ],
  ]);
}

function typeJson(type: WireType): Fragment {
  return JSON.stringify(type);
}

/** The column `columns` of `system.schemas` (catalog B4): a JSON array, system columns included. */
export function columnsJson(columns: readonly TableColumn[]): string {
  const elements = columns.map((column) =>
    members([
      ['column_id', String(column.id)],
      ['column_name', jsonString(column.name)],
      ['column_comment', textOrNull(column.comment)],
      ['data_type', typeJson(wireType(column.type))],
      ['default_value', defaultJson(column.default)],
      ['ordinal_position', String(column.ordinal)],
      ['is_nullable', String(column.nullable)],
      ['is_primary_key', String(column.primaryKey)],
      ['is_partition_key', 'false'],
    ]),
  );
  return `[${elements.join(',')}]`;
}

function flushPolicyJson(policy: FlushPolicy | undefined): Fragment {
  if (policy === undefined) return 'null';
  const { rows, intervalSeconds } = policy;
  const entries: [string, Fragment][] = [];
  if (rows !== undefined) entries.push(['row_limit', String(rows)]);
  if (intervalSeconds !== undefined) entries.push(['interval_seconds', String(intervalSeconds)]);
  const single = rows === undefined ? 'time_interval' : 'row_limit';
  return members([['type', jsonString(entries.length === 2 ? 'combined' : single)], ...entries]);
}

const capitalised = (level: AccessLevel): string => level.charAt(0).toUpperCase() + level.slice(1);

/** What the column `options` is made from. */
interface OptionsSource {
  readonly kind: TableKind;
  readonly options: TableOptions;
  readonly accessLevel: AccessLevel | undefined;
}

/** The column `options` of `system.schemas` (catalog B4). Options that the original does not have are there only when set. */
export function optionsJson(source: OptionsSource): string {
  const { options } = source;
  const entries: [string, Fragment][] = [['table_type', jsonString(source.kind.toUpperCase())]];
  if (source.kind === 'stream') {
    entries.push(
      ['ttl_seconds', String(options.ttlSeconds ?? null)],
      ['eviction_strategy', '"time_based"'],
      ['max_stream_size_bytes', '0'],
    );
    if (options.streamScope !== undefined) entries.push(['scope', jsonString(options.streamScope)]);
    if (options.ephemeral !== undefined) entries.push(['ephemeral', String(options.ephemeral)]);
    if (options.maxBuffer !== undefined) entries.push(['max_buffer', String(options.maxBuffer)]);
  } else {
    entries.push(['storage_id', jsonString(options.storageId ?? 'local')]);
    if (source.kind === 'user') entries.push(['use_user_storage', String(options.useUserStorage ?? false)]);
    if (source.accessLevel !== undefined) entries.push(['access_level', jsonString(capitalised(source.accessLevel))]);
    entries.push(['flush_policy', flushPolicyJson(options.flushPolicy)]);
    const retention = options.deletedRetentionHours;
    if (retention !== undefined) entries.push(['deleted_retention_hours', retention === 'off' ? '"off"' : String(retention)]);
  }
  entries.push(['compression', '"snappy"']);
  return members(entries);
}

/** A default as SQL text: `'x'`, `7`, `TRUE`, `NOW()`; `undefined` without one. */
export function defaultText(value: DefaultValue | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (value.kind === 'function') return `${value.name}()`;
  switch (value.literal) {
    case 'string':
      return `'${value.text.replaceAll("'", "''")}'`;
    case 'boolean':
    case 'null':
      return value.text.toUpperCase();
    default:
      return value.text;
  }
}
