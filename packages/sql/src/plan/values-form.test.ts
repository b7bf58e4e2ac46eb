import { type Cell, type DataType, KalamError, plainType, type Row } from '@kalamdb/protocol';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { ColumnInfo, EvalContext } from '../expression/input-row.ts';
import { readValuesList } from '../lexer/values-list.ts';
import { initParser } from '../parser/parse.ts';
import type { DefaultValue } from '../statement/ast.ts';
import { StatementCompiler } from './compiler.ts';
import type { ConflictPlan } from './plans.ts';
import type { CatalogView, TableInfo } from './table-info.ts';

beforeAll(initParser);

const TYPES: readonly DataType[] = [
  ...(['boolean', 'smallint', 'int', 'bigint', 'float', 'double', 'text', 'json', 'uuid', 'bytes'] as const).map(plainType),
  ...(['timestamp', 'datetime', 'date', 'time', 'file'] as const).map(plainType),
  { kind: 'decimal', precision: 6, scale: 2 },
  { kind: 'decimal', precision: 38, scale: 0 },
  { kind: 'embedding', dimension: 2 },
];

const DEFAULTS: readonly (readonly [DataType, DefaultValue])[] = [
  [plainType('bigint'), { kind: 'function', name: 'SNOWFLAKE_ID' }],
  [plainType('timestamp'), { kind: 'function', name: 'NOW' }],
  [plainType('text'), { kind: 'function', name: 'ULID' }],
  [plainType('int'), { kind: 'literal', literal: 'integer', text: '7' }],
];

function column(name: string, type: DataType, options: Partial<ColumnInfo>): ColumnInfo {
  return { id: 1, name, type, nullable: true, primaryKey: false, default: undefined, system: undefined, ...options };
}

const columnOf: fc.Arbitrary<Pick<ColumnInfo, 'type' | 'default'>> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TYPES).map((type) => ({ type, default: undefined })) },
  { weight: 1, arbitrary: fc.constantFrom(...DEFAULTS).map(([type, value]) => ({ type, default: value })) },
);

function catalogOf(columns: readonly Pick<ColumnInfo, 'type' | 'default'>[]): CatalogView {
  const stored = columns.map(({ type, default: value }, index) => column(`c${index}`, type, { default: value, primaryKey: index === 0 }));
  const system = column('_seq', plainType('bigint'), { system: '_seq' });
  const table: TableInfo = { id: 1000, version: 1, namespace: 'app', name: 't', kind: 'shared', columns: [...stored, system] };
  return { hasNamespace: () => true, table: (_, name) => (name === 't' ? table : undefined) };
}

/** Ids in a row, so that defaults that are evaluated in another order show. */
function contextOf(parameters: readonly Cell[]): EvalContext {
  let ids = 0;
  return {
    parameters,
    nowMicros: 1_700_000_000_000_000n,
    userId: 'ann',
    role: 'dba',
    snowflakeId: () => {
      ids += 1;
      return BigInt(ids);
    },
    uuidV7: () => '550e8400-e29b-41d4-a716-446655440000',
    ulid: () => {
      ids += 1;
      return `id ${ids}`;
    },
    random: () => 0.5,
  };
}

interface Insert {
  readonly catalog: CatalogView;
  readonly text: string;
  readonly parameters: readonly Cell[];
}

/** What becomes of the first row when another one is in its way. */
function updated(conflict: Extract<ConflictPlan, { kind: 'update' }>, proposed: Row, cells: Row): Row | undefined {
  return conflict.apply({ cells, seq: 1n, deleted: false }, proposed, contextOf([]));
}

/** What an INSERT comes to: its rows and unfilled columns, or the error with its position. */
function outcome({ catalog, text, parameters }: Insert, compiler: StatementCompiler): unknown {
  try {
    const compiled = compiler.compile(text, { catalog, namespace: 'app', parameters });
    if (compiled.kind !== 'plan' || compiled.plan.kind !== 'insert') throw new Error('no INSERT');
    const rows: Row[] = compiled.plan.rowsFor(contextOf(compiled.parameters));
    const { missing, conflict, returning } = compiled.plan;
    return {
      rows,
      missing: missing.map((info) => info.name),
      conflict: conflict?.kind === 'update' ? rows.map((row) => updated(conflict, row, rows[0] ?? [])) : conflict,
      returning: returning?.select.columns,
    };
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    return { code: error.code, message: error.message, position: error.position };
  }
}

const PARAMETERS: readonly Cell[] = [5n, -3000000000n, 2.75, 'text', '12', null, true];
const USUAL = ['1', '-7', '300', '1.5', '-0.125', "'x'", "'12'", 'NULL', 'DEFAULT'];
const RARE = [
  '40000',
  '3000000000',
  '9223372036854775808',
  '123456789012345678901234567890',
  '1e3',
  '-2.995',
  '99999.995',
  '1e999',
  '-0',
  '16777217',
  'TRUE',
  'false',
  "'t'",
  "'1.5'",
  "'2021-01-31'",
  "'2021-01-31 10:00:00'",
  "'10:00:00'",
  "'550E8400-E29B-41D4-A716-446655440000'",
  "'[1, 0.5]'",
  `'{"a": 1}'`,
  "'\\x00ff'",
  "''",
  "'it''s'",
  "'\uD800'",
  '$1',
  '$2',
  '$3',
  '$4',
  '$5',
  '$6',
  '$7',
];
const NUMBERS = ['1', '-7', '300', '1.5', '-0.125', '-2.995', '1e3', "'12'", 'NULL', 'DEFAULT', '$1', '$3', '$6'];

/** Texts for types that take nothing else. */
const TEXTS: Readonly<Partial<Record<DataType['kind'], readonly string[]>>> = {
  uuid: ["'550E8400-E29B-41D4-A716-446655440000'"],
  bytes: ["'\\x00ff'", "'x'"],
  date: ["'2021-01-31'"],
  time: ["'10:00:00'", "'10:00:00.5'"],
  embedding: ["'[1, 0.5]'"],
};

/** Constants that a column of the type takes. */
function fitting(kind: DataType['kind']): readonly string[] {
  switch (kind) {
    case 'smallint':
    case 'int':
    case 'bigint':
    case 'float':
    case 'double':
    case 'decimal':
      return NUMBERS;
    case 'boolean':
      return ['TRUE', 'false', "'t'", 'NULL', 'DEFAULT', '$7'];
    case 'text':
    case 'json':
    case 'file':
      return [...NUMBERS, ...RARE.filter((value) => value !== '1e999' && !value.includes('\uD800'))];
    case 'timestamp':
    case 'datetime':
      return ["'2021-01-31'", "'2021-01-31 10:00:00'", '1', '-3000000000', 'NULL', '$1', '$2', 'DEFAULT'];
    default:
      return ['NULL', 'DEFAULT', '$6', ...(TEXTS[kind] ?? [])];
  }
}

/** Constants for a place, mostly those that fit. */
const constantFor = (kind: DataType['kind'] | undefined): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: kind === undefined ? 0 : 60, arbitrary: fc.constantFrom(...fitting(kind ?? 'text')) },
    { weight: 1, arbitrary: fc.constantFrom(...USUAL, ...RARE) },
  );

const tuples = (kinds: readonly (DataType['kind'] | undefined)[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(fc.tuple(...kinds.map(constantFor)), { minLength: 1, maxLength: 5 }),
      fc.option(fc.constantFrom('(1)', '(1, 2, 3, 4, 5, 6)'), { freq: 20 }),
    )
    .map(([rows, odd]) => [...rows.map((row) => `(${row.join(', ')})`), ...(odd === null ? [] : [odd])].join(',\n '));

const tails = fc.constantFrom(
  ...Array.from({ length: 9 }, () => ''),
  ' ON CONFLICT (c0) DO NOTHING RETURNING *',
  ' RETURNING c0, c0 IS NULL AS n',
  ' ON CONFLICT (c0) DO UPDATE SET c1 = excluded.c1 WHERE t.c1 IS DISTINCT FROM excluded.c1',
);

const insert: fc.Arbitrary<Insert> = fc
  .array(columnOf, { minLength: 1, maxLength: 4 })
  .chain((columns) => {
    const names = columns.map((_, index) => `c${index}`);
    const list = fc.oneof(
      { weight: 4, arbitrary: fc.shuffledSubarray(names, { minLength: 1 }) },
      { weight: 4, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom(['nope'], ['c0', 'c0'], ['_seq'], ['C0']) },
    );
    return fc.tuple(fc.constant(columns), list, fc.constantFrom('t', 't', 't', 't', 't', 't', 't', 'app.t', 'nope'));
  })
  .chain(([columns, list, table]) => {
    const kinds = (list ?? columns.map((_, index) => `c${index}`)).map((name) => columns[Number(name.slice(1))]?.type.kind);
    return fc
      .tuple(tuples(kinds), fc.constantFrom(columns, columns, columns, columns, columns.slice(1)), tails)
      .map(([rows, declared, tail]) => ({
        catalog: catalogOf(declared),
        text: `INSERT INTO ${table} ${list === undefined ? '' : `(${list.join(', ')}) `}VALUES ${rows}${tail}`,
        parameters: PARAMETERS,
      }));
  });

test('an INSERT of constants comes to the same as on the road of all statements', () => {
  const seen = { rows: 0, errors: 0 };
  fc.assert(
    fc.property(insert, (statement) => {
      // A second semicolon means nothing but keeps the list from being read without the parser.
      const ordinary = { ...statement, text: `${statement.text};;` };
      expect(readValuesList(ordinary.text, ordinary.parameters)).toBeUndefined();
      const expected = outcome(ordinary, new StatementCompiler({ plansMax: 1 }));
      const compiler = new StatementCompiler({ plansMax: 1 });
      expect(outcome(statement, compiler)).toEqual(expected);
      expect(outcome(statement, compiler)).toEqual(expected);
      if ('rows' in (expected as object)) seen.rows += 1;
      else seen.errors += 1;
    }),
    { numRuns: 2000 },
  );
  expect(seen.rows).toBeGreaterThan(100);
  expect(seen.errors).toBeGreaterThan(100);
});

test('a form is bound anew when its table has changed', () => {
  const compiler = new StatementCompiler({ plansMax: 5 });
  const text = 'INSERT INTO t VALUES (1.5)';
  const rows = (type: DataType): unknown => outcome({ catalog: catalogOf([{ type, default: undefined }]), text, parameters: [] }, compiler);
  expect(rows(plainType('int'))).toMatchObject({ rows: [[1]] });
  expect(rows(plainType('text'))).toMatchObject({ rows: [['1.5']] });
});
