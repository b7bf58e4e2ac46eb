import type { AccessLevel, AlterOperation, Statement, VectorMetric } from '../../statement/ast.ts';
import { parseColumn, parseColumnType, parseDefault } from './column-definition.ts';
import type { TokenReader } from './token-reader.ts';

const ONE_OPERATION = 'Only one ALTER TABLE operation is supported per statement';
const LEVELS = ['public', 'private', 'restricted'] as const;
const ALL_LEVELS: readonly AccessLevel[] = [...LEVELS, 'dba'];
const METRICS: readonly VectorMetric[] = ['cosine', 'l2', 'dot'];

/** `ALTER [USER|SHARED|STREAM] TABLE [IF EXISTS] t …`, one operation (sql-dialect B10). */
export function parseAlterTable(reader: TokenReader): Statement {
  reader.expectWords('alter');
  reader.acceptOneOf(['user', 'shared', 'stream']);
  reader.expectWords('table');
  const ifExists = reader.acceptWords('if exists');
  const table = reader.qualifiedName();
  const operation = parseOperation(reader);
  if (reader.isSymbol(',')) throw reader.refuse(ONE_OPERATION);
  if (reader.isWord('first') || reader.isWord('after')) throw reader.refuse('Column position modifiers (FIRST/AFTER) are not supported');
  reader.expectEnd();
  return { kind: 'alter-table', table, ifExists, operation };
}

function parseOperation(reader: TokenReader): AlterOperation {
  if (reader.acceptWords('add')) return parseAdd(reader);
  if (reader.acceptWords('drop')) return parseDrop(reader);
  if (reader.acceptWords('modify')) return parseModify(reader);
  if (reader.acceptWords('alter')) return parseAlterColumn(reader);
  if (reader.acceptWords('rename')) return parseRename(reader);
  if (reader.acceptWords('set access level')) return { kind: 'set-access-level', accessLevel: parseLevel(reader) };
  if (reader.acceptWords('set tblproperties')) return parseProperties(reader);
  if (reader.acceptWords('create vector index') || reader.acceptWords('create index')) return parseCreateIndex(reader);
  throw reader.unexpected('ADD, DROP, MODIFY, ALTER, RENAME, SET or CREATE INDEX');
}

function parseAdd(reader: TokenReader): AlterOperation {
  if (reader.isWord('constraint') || reader.isWord('primary') || reader.isWord('unique')) {
    throw reader.refuse('Constraints cannot be added to a table');
  }
  reader.acceptWords('column');
  const ifNotExists = reader.acceptWords('if not exists');
  const parts = parseColumn(reader);
  if (parts.primaryKey) throw reader.refuse('A PRIMARY KEY column cannot be added', parts.position);
  if (parts.unique) throw reader.refuse('UNIQUE constraints are not supported until unique indexes exist', parts.position);
  const { name, type, nullable, default: value, position } = parts;
  return { kind: 'add-column', ifNotExists, column: { name, type, nullable, primaryKey: false, default: value, position } };
}

function parseDrop(reader: TokenReader): AlterOperation {
  if (reader.acceptWords('vector index') || reader.acceptWords('index')) {
    return { kind: 'set-vector-index', column: reader.name('a column name'), metric: undefined };
  }
  reader.acceptWords('column');
  const ifExists = reader.acceptWords('if exists');
  const column = reader.name('a column name');
  if (reader.isSymbol(',') && !reader.isWord('add', 1) && !reader.isWord('alter', 1)) {
    throw reader.refuse('ALTER TABLE only supports dropping one column at a time');
  }
  if (reader.isWord('cascade') || reader.isWord('restrict')) throw reader.refuse('DROP COLUMN CASCADE/RESTRICT is not supported');
  return { kind: 'drop-column', column, ifExists };
}

/** `[COLUMN] c type [NULL|NOT NULL]` */
function parseModify(reader: TokenReader): AlterOperation {
  reader.acceptWords('column');
  const column = reader.name('a column name');
  const { type } = parseColumnType(reader);
  const nullable = reader.acceptWords('not null') ? false : reader.acceptWords('null') ? true : undefined;
  return { kind: 'modify-column', column, type, nullable };
}

function parseAlterColumn(reader: TokenReader): AlterOperation {
  reader.acceptWords('column');
  const column = reader.name('a column name');
  if (reader.acceptWords('set not null')) return { kind: 'set-nullable', column, nullable: false };
  if (reader.acceptWords('drop not null')) return { kind: 'set-nullable', column, nullable: true };
  if (reader.acceptWords('set default')) return { kind: 'set-default', column, default: parseDefault(reader) };
  if (reader.acceptWords('drop default')) return { kind: 'set-default', column, default: undefined };
  if (reader.acceptWords('type') || reader.acceptWords('set data type')) {
    return { kind: 'modify-column', column, type: parseColumnType(reader).type, nullable: undefined };
  }
  throw reader.refuse('Unsupported ALTER COLUMN operation');
}

function parseRename(reader: TokenReader): AlterOperation {
  if (reader.isWord('to')) throw reader.refuse('Renaming a table is not supported');
  reader.acceptWords('column');
  const column = reader.name('a column name');
  reader.expectWords('to');
  return { kind: 'rename-column', column, to: reader.name('a column name') };
}

function parseLevel(reader: TokenReader): AccessLevel {
  const level = reader.acceptOneOf(LEVELS);
  if (level === undefined) throw reader.unexpected('PUBLIC, PRIVATE or RESTRICTED');
  return level;
}

/** `(ACCESS_LEVEL = '…')`, the only property there is. */
function parseProperties(reader: TokenReader): AlterOperation {
  reader.expectSymbol('(');
  const name = reader.nameOrString('a property');
  if (name.toLowerCase() !== 'access_level') throw reader.refuse(`Unsupported table property '${name}'. Supported: ACCESS_LEVEL`);
  reader.expectSymbol('=');
  const position = reader.position;
  const written = reader.nameOrString('an access level');
  const accessLevel = ALL_LEVELS.find((level) => level === written.toLowerCase());
  if (accessLevel === undefined) {
    throw reader.refuse(`Invalid ACCESS_LEVEL '${written}'. Supported: PUBLIC, PRIVATE, RESTRICTED, DBA`, position);
  }
  reader.expectSymbol(')');
  return { kind: 'set-access-level', accessLevel };
}

/** `c [USING metric]`, cosine unless said. */
function parseCreateIndex(reader: TokenReader): AlterOperation {
  const column = reader.name('a column name');
  if (!reader.acceptWords('using')) return { kind: 'set-vector-index', column, metric: 'cosine' };
  const metric = reader.acceptOneOf(METRICS);
  if (metric === undefined) throw reader.unexpected('COSINE, L2 or DOT');
  return { kind: 'set-vector-index', column, metric };
}
