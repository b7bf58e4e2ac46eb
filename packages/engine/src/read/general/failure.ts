import { KalamError, kalamError } from '@kalamdb/protocol';

/** What an error of DuckDB is told with. */
export interface FailureContext {
  readonly memoryBytesMax: number;
  /** What the query calls its tables (`k0` …), and what their users do. */
  readonly tableNames: ReadonlyMap<string, string>;
  /** Files of segments that it reads, and what they are called. */
  readonly segments: ReadonlyMap<string, string>;
}

type Groups = Readonly<Record<string, string | undefined>>;

interface Rule {
  readonly pattern: RegExp;
  readonly error: (groups: Groups) => Error;
}

const COLUMN_MISSING = '(?:Referenced column|column named) "(?<column>[^"]*)"';

/** DuckDB says it first, or right behind the kind of its error or what failed; V8 says it of a text. Behind other words stand those of the query. */
const OUT_OF_MEMORY =
  /^(?:(?:[\w ]+ Error|Failed to \w+): )*(?:Out of Memory Error|Cannot create a string longer|(?:failed to|could not) allocate)/i;

/** DuckDB's errors that the dialect has one for. The first that fits counts. */
const RULES: readonly Rule[] = [
  rule(/^INTERRUPT Error/, () => kalamError('QUERY_INTERRUPTED')),
  rule(/^(?:IO|Invalid Input) Error: [^\n]*\/(?<file>[\w-]+\.(?:parquet|segment))["']/, ({ file = '' }) =>
    kalamError('DAMAGED_DATA', { where: `the segment ${file}`, reason: 'it is missing or cannot be read' }),
  ),
  rule(new RegExp(`^Binder Error: .*${COLUMN_MISSING}`, 's'), ({ column = '' }) => kalamError('COLUMN_NOT_FOUND', { column, hint: '' })),
  rule(/^Binder Error: Referenced table "(?<table>[^"]*)" not found/, ({ table = '' }) => kalamError('TABLE_NOT_FOUND', { table })),
  rule(/^Binder Error: Ambiguous reference to column name "(?<column>[^"]*)"/, ({ column = '' }) =>
    kalamError('COLUMN_AMBIGUOUS', { column }),
  ),
  rule(/^(?:Conversion|Invalid Input) Error: Could not convert string ['"](?<text>.*?)['"] to (?:['"])?(?<type>\w+)/s, invalidText),
  rule(/^Conversion Error: Could not cast value (?<value>-?\d[\d.]*(?:e[+-]?\d+)?) to (?<type>[\w(),]+)/, outOfRange),
  rule(/^Conversion Error: Failed to cast decimal value (?<value>\S+) to type (?<type>\w+)/, outOfRange),
  rule(/^Conversion Error: Casting value "(?<value>[^"]*)" to type (?<type>[\w(),]+) failed: value is out of range/, outOfRange),
  rule(/^Conversion Error: Could not cast value ['"]?(?<text>.*?)['"]? to (?<type>\w+)/s, invalidText),
  rule(/^Conversion Error: Failed to cast value: Could not convert string ['"](?<text>.*?)['"] to (?:['"])?(?<type>\w+)/s, invalidText),
  rule(/^Conversion Error: invalid (?<type>date|time|timestamp) field format: "(?<text>[^"]*)"/, invalidText),
  rule(/^Conversion Error: (?<type>date|time|timestamp) field value out of range: "(?<text>[^"]*)"/, invalidText),
  rule(/^Conversion Error: .*?value (?<value>\S+) can't be cast .*? destination type (?<type>\w+)/s, outOfRange),
  rule(/^(?:Out of Range|Conversion|Invalid Input) Error: .*[Oo]verflow in \w+ of (?<type>[\w(),]+) \((?<value>[^)]*)\)/s, outOfRange),
  rule(/^(?:Out of Range|Conversion) Error: Could not cast value (?<value>\S+) .*to (?<type>[\w(),]+)/s, outOfRange),
  rule(/^Out of Range Error: Overflow on abs\((?<value>-?\d+)\)/, ({ value = '' }) => outOfRange({ value, type: 'of the result' })),
  rule(/^Conversion Error: Timestamp microseconds out of range: (?<value>-?\d+)/, ({ value = '' }) =>
    outOfRange({ value, type: 'TIMESTAMP' }),
  ),
  rule(/^(?:Out of Range|Invalid Input) Error: (?:Overflow in (?:negation|division)|\w+ is out of range|value out of range)/, () =>
    outOfRange({ value: '(computed)', type: 'of the result' }),
  ),
  rule(/^[\w ]+ Error: (?:Division|Divide) by zero/i, () => kalamError('DIVISION_BY_ZERO')),
  rule(/^Invalid Input Error: More than one row returned by a subquery/, () => kalamError('SUBQUERY_ROWS')),
  rule(/^Binder Error: column "(?<column>[^"]*)" must appear in the GROUP BY/, ({ column = '' }) =>
    kalamError('AGGREGATE_MISUSE', { reason: `Column '${column}' must appear in the GROUP BY clause or be used in an aggregate function` }),
  ),
  rule(/^Binder Error: (?<clause>[A-Z ]+) clause cannot contain (?<what>aggregates|window functions)/, ({ clause = '', what = '' }) =>
    kalamError('AGGREGATE_MISUSE', { reason: `${clause} cannot contain ${what}` }),
  ),
  rule(/^Binder Error: aggregate function calls cannot be nested/, () =>
    kalamError('AGGREGATE_MISUSE', { reason: 'aggregate function calls cannot be nested' }),
  ),
  rule(/^Binder Error: Set operations can only apply to expressions with the same number of result columns/, () =>
    kalamError('TYPE_MISMATCH', { reason: 'each query of a set operation must have the same number of columns' }),
  ),
  rule(/^Binder Error: Subquery returns \d+ columns/, () => kalamError('TYPE_MISMATCH', { reason: 'a subquery must return one column' })),
  rule(
    /^Binder Error: .*(?:No function matches the given name and argument types|function call) ["'](?<call>.+?)["']\./s,
    ({ call = '' }) => kalamError('TYPE_MISMATCH', { reason: `there is no ${call}` }),
  ),
  rule(/^Binder Error: Cannot (?<verb>compare|mix|combine) (?<rest>(?:values of )?[^\n]{1,200})/, ({ verb = '', rest = '' }) =>
    kalamError('TYPE_MISMATCH', { reason: `cannot ${verb} ${rest.replace(/ (?:in|-) .*$/, '')}` }),
  ),
  rule(/^Catalog Error: .*Function with name "?(?<name>[^\s"]+)"? does not exist/, ({ name = '' }) =>
    kalamError('FUNCTION_NOT_FOUND', { name }),
  ),
  rule(
    /^(?:Invalid Input|Out of Range) Error: (?<reason>(?:cannot take (?:logarithm|square root) of|zero raised to|a negative number raised to) [^\n]{1,60})/i,
    ({ reason = '' }) => kalamError('INVALID_ARGUMENT', { reason }),
  ),
  rule(/^Invalid Input Error: (?<reason>unit ".*" not recognized for type \w+)$/s, ({ reason = '' }) =>
    kalamError('INVALID_ARGUMENT', { reason }),
  ),
];

function rule(pattern: RegExp, error: Rule['error']): Rule {
  return { pattern, error };
}

function invalidText({ text = '', type = '' }: Groups): Error {
  return kalamError('INVALID_TEXT', { text, type: typeName(type) });
}

function outOfRange({ value = '', type = '' }: Groups): Error {
  return kalamError('VALUE_OUT_OF_RANGE', { value, type: typeName(type) });
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  INT8: 'SMALLINT',
  INT16: 'SMALLINT',
  INT32: 'INT',
  INT64: 'BIGINT',
  INT128: 'BIGINT',
  HUGEINT: 'BIGINT',
  INTEGER: 'INT',
  BOOL: 'BOOLEAN',
  VARCHAR: 'TEXT',
  BLOB: 'BYTES',
};

function typeName(type: string): string {
  const name = type.toUpperCase();
  return TYPE_NAMES[name] ?? (/^[A-Z]/.test(type) ? name : type);
}

/** The first line of a message, without the path of a file in it. */
function unnamed(message: string, path: string): string {
  return (message.split('\n')[0] ?? '').replaceAll(path, 'it');
}

/** Whether DuckDB had not enough memory. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && !(error instanceof KalamError) && OUT_OF_MEMORY.test(error.message);
}

/**
 * What DuckDB threw as an error of the table. None of its texts goes on as it is, but for those of QUERY_FAILED, which only
 * administrators see and which call the tables by their own names.
 */
export function generalFailure(error: unknown, context: FailureContext): unknown {
  if (error instanceof KalamError || !(error instanceof Error)) return error;
  const { message } = error;
  if (OUT_OF_MEMORY.test(message)) {
    return kalamError('QUERY_TOO_LARGE', { max: Math.floor(context.memoryBytesMax / 1024 ** 2), what: 'MiB' }, { cause: error });
  }
  for (const { pattern, error: mapped } of RULES) {
    const found = pattern.exec(message);
    if (found !== null) return mapped(found.groups ?? {});
  }
  // Segments were checked when they were opened: whatever DuckDB has against one now has come over it since.
  for (const [path, name] of context.segments) {
    if (message.includes(path))
      return kalamError('DAMAGED_DATA', { where: `the segment ${name}`, reason: unnamed(message, path) }, { cause: error });
  }
  // DuckDB throws errors of no class of their own; any other is one of ours.
  if (Object.getPrototypeOf(error) !== Error.prototype) return error;
  const reason = (message.split('\n')[0] ?? '').replace(/\bk\d+\b/g, (name) => context.tableNames.get(name) ?? name);
  return kalamError('QUERY_FAILED', { reason }, { cause: error });
}
