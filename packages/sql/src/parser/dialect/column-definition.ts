import { type DataType, KalamError, parseTypeName } from '@kalamdb/protocol';
import { numberLiteral } from '../../lexer/literal-value.ts';
import type { DefaultValue } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

/** A column as it is written; what the table's constraints add comes later. */
export interface ColumnParts {
  readonly name: string;
  readonly type: DataType;
  readonly position: number;
  nullable: boolean;
  primaryKey: boolean;
  unique: boolean;
  default: DefaultValue | undefined;
}

/** The default of columns that number themselves. */
export const SNOWFLAKE: DefaultValue = { kind: 'function', name: 'SNOWFLAKE_ID' };
const SERIAL_TYPES: ReadonlySet<string> = new Set(['serial', 'smallserial', 'bigserial']);
const DEFAULT_FUNCTIONS = ['NOW', 'CURRENT_TIMESTAMP', 'SNOWFLAKE_ID', 'UUID_V7', 'ULID', 'CURRENT_USER'] as const;

/** `name type [constraints]` */
export function parseColumn(reader: TokenReader): ColumnParts {
  const position = reader.position;
  const name = reader.name('a column name');
  const { type, typeName } = parseColumnType(reader);
  const column: ColumnParts = { name, type, position, nullable: true, primaryKey: false, unique: false, default: undefined };
  if (SERIAL_TYPES.has(typeName)) column.default = SNOWFLAKE;
  while (parseColumnConstraint(reader, column));
  return column;
}

function parseColumnConstraint(reader: TokenReader, column: ColumnParts): boolean {
  if (reader.acceptWords('not null')) {
    column.nullable = false;
  } else if (reader.acceptWords('null')) {
    column.nullable = true;
  } else if (reader.acceptWords('default')) {
    column.default = parseDefault(reader);
  } else if (reader.acceptWords('primary key')) {
    column.primaryKey = true;
  } else if (reader.acceptWords('unique')) {
    reader.acceptWords('key');
    column.unique = true;
  } else if (reader.acceptOneOf(['auto_increment', 'autoincrement']) !== undefined) {
    column.default = SNOWFLAKE;
  } else if (reader.acceptWords('generated')) {
    parseIdentity(reader);
    column.default = SNOWFLAKE;
  } else {
    if (!reader.isSymbol(',') && !reader.isSymbol(')') && !reader.atEnd) refuseConstraint(reader);
    return false;
  }
  return true;
}

function refuseConstraint(reader: TokenReader): never {
  if (reader.peek().kind !== 'word') throw reader.unexpected("',' or ')'");
  if (reader.isWord('first') || reader.isWord('after')) throw reader.refuse('Column position modifiers (FIRST/AFTER) are not supported');
  throw reader.refuse(`Unsupported column option '${reader.peek().value.toUpperCase()}'`);
}

function parseIdentity(reader: TokenReader): void {
  if (!reader.acceptWords('always') && !reader.acceptWords('by default')) throw reader.unexpected('ALWAYS or BY DEFAULT');
  reader.expectWords('as identity');
  if (reader.isSymbol('(')) throw reader.refuse('Options of an IDENTITY column are not supported');
}

/** A literal or one of the functions; parentheses around it are allowed. */
export function parseDefault(reader: TokenReader): DefaultValue {
  if (reader.acceptSymbol('(')) {
    const inner = parseDefault(reader);
    reader.expectSymbol(')');
    return inner;
  }
  const token = reader.peek();
  if (token.kind === 'string') return { kind: 'literal', literal: 'string', text: reader.next().value };
  if (token.kind === 'number' || reader.isSymbol('-') || reader.isSymbol('+')) return parseNumberDefault(reader);
  if (token.kind !== 'word') throw reader.unexpected('a DEFAULT value');
  reader.next();
  if (token.value === 'null') return { kind: 'literal', literal: 'null', text: 'NULL' };
  if (token.value === 'true' || token.value === 'false') return { kind: 'literal', literal: 'boolean', text: token.value };
  const name = DEFAULT_FUNCTIONS.find((candidate) => candidate === token.value.toUpperCase());
  const known = DEFAULT_FUNCTIONS.join(', ');
  if (name === undefined) throw reader.refuse(`Unsupported DEFAULT '${token.value}'. Supported: literals, ${known}`, token.start);
  const keyword = name.startsWith('CURRENT_');
  if (reader.acceptSymbol('(')) {
    if (!reader.acceptSymbol(')')) throw reader.refuse(`${name}() takes no arguments`);
  } else if (!keyword) {
    throw reader.unexpected("'('");
  }
  return { kind: 'function', name };
}

function parseNumberDefault(reader: TokenReader): DefaultValue {
  const negative = reader.acceptSymbol('-');
  if (!negative) reader.acceptSymbol('+');
  if (reader.peek().kind !== 'number') throw reader.unexpected('a number');
  const literal = numberLiteral(reader.next().value);
  return { kind: 'literal', literal: literal.kind, text: negative && literal.text !== '0' ? `-${literal.text}` : literal.text };
}

/** A type as it is written. */
export interface ColumnType {
  readonly type: DataType;
  /** Its first word, lower case. */
  readonly typeName: string;
}

/** The type of a column, with its parameters. */
export function parseColumnType(reader: TokenReader): ColumnType {
  const position = reader.position;
  const typeName = reader.name('a data type');
  let name = typeName;
  if (typeName === 'double' && reader.acceptWords('precision')) name = 'double precision';
  if (typeName === 'character' && reader.acceptWords('varying')) name = 'character varying';
  const parameters = readParameters(reader, typeName);
  const zoned = typeName === 'timestamp' || typeName === 'time';
  const zone = zoned ? reader.acceptOneOf(['with', 'without']) : undefined;
  if (zone !== undefined) {
    reader.expectWords('time zone');
    name = `${typeName} ${zone} time zone`;
  }
  if (skipArray(reader)) return { type: parseTypeName('array', []), typeName: 'array' };
  if (typeName === 'numeric')
    throw reader.refuse(`Unsupported data type: NUMERIC${parameters.length > 0 ? `(${parameters.join(', ')})` : ''}`, position);
  try {
    return { type: parseTypeName(name, parameters), typeName };
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    if (error.code === 'UNSUPPORTED_TYPE') throw reader.refuse(`Unsupported custom data type '${name}'`, position);
    throw reader.refuse(error.message.replace('Execution error: ', ''), position);
  }
}

/** Numbers in parentheses; the values of ENUM and SET and the members of `ARRAY<…>` and `STRUCT<…>` are read over: both are texts. */
function readParameters(reader: TokenReader, typeName: string): readonly number[] {
  if (reader.peek().kind === 'operator' && reader.peek().value.startsWith('<')) skipMembers(reader);
  if (!reader.acceptSymbol('(')) return [];
  const parameters: number[] = [];
  do {
    if (reader.peek().kind === 'number') parameters.push(reader.integer('an integer'));
    else if ((typeName === 'enum' || typeName === 'set') && reader.peek().kind === 'string') reader.next();
    else throw badParameter(reader, typeName);
  } while (reader.acceptSymbol(','));
  reader.expectSymbol(')');
  return parameters;
}

function badParameter(reader: TokenReader, typeName: string): KalamError {
  if (typeName !== 'embedding') return reader.unexpected('a number');
  const sign = reader.isSymbol('-') || reader.isSymbol('+') ? reader.next() : undefined;
  const token = reader.peek();
  if (token.kind === 'symbol' || token.kind === 'end') {
    return reader.refuse('EMBEDDING type requires exactly one dimension parameter, e.g., EMBEDDING(384)');
  }
  const written = reader.text.slice(sign?.start ?? token.start, token.end);
  return reader.refuse(`EMBEDDING dimension must be a positive integer, got '${written}'`, sign?.start ?? token.start);
}

function skipMembers(reader: TokenReader): void {
  let depth = 0;
  do {
    const token = reader.next();
    if (token.kind === 'end') throw reader.unexpected("'>'");
    if (token.kind !== 'operator') continue;
    for (const character of token.value) depth += character === '<' ? 1 : character === '>' ? -1 : 0;
  } while (depth > 0);
}

function skipArray(reader: TokenReader): boolean {
  if (!reader.isSymbol('[')) return false;
  while (reader.acceptSymbol('[')) {
    if (reader.peek().kind === 'number') reader.next();
    reader.expectSymbol(']');
  }
  return true;
}
