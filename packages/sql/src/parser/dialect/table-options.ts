import type { Token, TokenReader } from './token-reader.ts';

/** The value of a WITH option or a clause, as written. */
export interface OptionValue {
  /** Upper case. */
  readonly name: string;
  readonly value: string;
  readonly kind: 'string' | 'number' | 'word';
  readonly position: number;
}

/** The flush clause of the older syntax. */
export interface FlushClause {
  readonly rows: number | undefined;
  readonly interval: string | undefined;
  readonly position: number;
}

/** What follows the columns, before it is checked. */
export interface WrittenOptions {
  readonly options: ReadonlyMap<string, OptionValue>;
  readonly location: { readonly kind: 'path' | 'reference'; readonly text: string; readonly position: number } | undefined;
  readonly flush: FlushClause | undefined;
}

/** The options that there are; the names after the dash are those of the older syntax. */
const OPTION_NAMES: ReadonlySet<string> = new Set([
  'TYPE',
  'STORAGE_ID',
  'USE_USER_STORAGE',
  'FLUSH_POLICY',
  'DELETED_RETENTION_HOURS',
  'TTL_SECONDS',
  'ACCESS_LEVEL',
  'SCOPE',
  'DELETED_RETENTION',
  'RETENTION',
  'EPHEMERAL',
  'MAX_BUFFER',
]);

/** LOCATION, FLUSH POLICY, DELETED_RETENTION, USING and WITH, in any order, each at most once. */
export function parseTableOptions(reader: TokenReader): WrittenOptions {
  const options = new Map<string, OptionValue>();
  let location: WrittenOptions['location'];
  let flush: FlushClause | undefined;
  while (!reader.atEnd) {
    const position = reader.position;
    if (reader.acceptWords('using')) {
      reader.nameOrString('a name');
    } else if (location === undefined && reader.acceptWords('location')) {
      const kind = reader.acceptWords('reference') ? 'reference' : 'path';
      location = { kind, text: reader.string('a text in quotes'), position };
    } else if (flush === undefined && reader.acceptWords('flush policy')) {
      flush = parseFlush(reader, position);
    } else if (reader.acceptWords('with')) {
      parseWith(reader, options);
    } else if (reader.acceptWords('deleted_retention')) {
      addOption(reader, options, { name: 'DELETED_RETENTION', ...parseDuration(reader) });
    } else if (reader.isWord('as')) {
      throw reader.refuse('CREATE TABLE AS is not supported');
    } else {
      throw reader.unexpected('the end of the statement');
    }
  }
  return { options, location, flush };
}

function parseWith(reader: TokenReader, options: Map<string, OptionValue>): void {
  reader.expectSymbol('(');
  while (!reader.acceptSymbol(')')) {
    const position = reader.position;
    const written = reader.nameOrString('an option');
    const name = written.toUpperCase();
    if (!OPTION_NAMES.has(name)) throw reader.refuse(`Unknown table option '${written}'`, position);
    reader.expectSymbol('=');
    addOption(reader, options, { name, ...optionValue(reader) });
    if (!reader.acceptSymbol(',') && !reader.isSymbol(')')) throw reader.unexpected("',' or ')'");
  }
}

function addOption(reader: TokenReader, options: Map<string, OptionValue>, option: OptionValue): void {
  if (options.has(option.name)) throw reader.refuse(`Duplicate table option '${option.name}'`, option.position);
  options.set(option.name, option);
}

function optionValue(reader: TokenReader): Omit<OptionValue, 'name'> {
  const token = reader.peek();
  if (token.kind === 'string' || token.kind === 'number') return { value: reader.next().value, kind: token.kind, position: token.start };
  if (token.kind !== 'word' && token.kind !== 'quoted') throw reader.unexpected('a value');
  return { value: reader.nameOrString('a value'), kind: 'word', position: token.start };
}

/** `'7d'`, or bare: `7d`, `7`, `off`. */
function parseDuration(reader: TokenReader): Omit<OptionValue, 'name'> {
  reader.acceptSymbol('=');
  const token: Token = reader.peek();
  if (token.kind !== 'invalid') return optionValue(reader);
  return { value: reader.next().value, kind: 'word', position: token.start };
}

function parseFlush(reader: TokenReader, position: number): FlushClause {
  let rows: number | undefined;
  let interval: string | undefined;
  for (;;) {
    if (rows === undefined && reader.acceptOneOf(['rows', 'row_limit']) !== undefined) rows = reader.integer('a number of rows');
    else if (interval === undefined && reader.acceptWords('interval')) interval = flushInterval(reader);
    else if (rows === undefined && interval === undefined) throw reader.unexpected('ROWS or INTERVAL');
    else return { rows, interval, position };
  }
}

function flushInterval(reader: TokenReader): string {
  const { kind } = reader.peek();
  if (kind !== 'string' && kind !== 'number' && kind !== 'invalid') throw reader.unexpected("an interval, e.g. '5 minutes'");
  return reader.next().value;
}
