import { type Cell, KalamError, plainType } from '@kalamdb/protocol';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { initParser, parseStatement } from '../parser/parse.ts';
import { StatementCompiler } from '../plan/compiler.ts';
import type { Plan, SelectPlan } from '../plan/plans.ts';
import { bindStatement, isPlanned } from '../plan/statement-binder.ts';
import type { CatalogView, TableInfo } from '../plan/table-info.ts';
import type { ColumnInfo, EvalContext, InputRow } from './input-row.ts';

/*
 * The oracle: random SQL expressions, each generated together with its meaning as a slow interpreter over exact values.
 * Numbers are fractions of bigints, so neither side's number representation can hide a mistake of the other.
 */

interface Fraction {
  readonly top: bigint;
  readonly bottom: bigint;
}
type Value = null | boolean | string | Fraction;
interface Sample {
  readonly i: number | null;
  readonly b: bigint | null;
  readonly de: bigint | null;
  readonly d: number | null;
  readonly t: string | null;
  readonly o: boolean | null;
}
type Meaning = (row: Sample) => Value;
interface Case {
  readonly sql: string;
  readonly meaning: Meaning;
}

class Refused extends Error {}

const column = (id: number, name: string, type: ColumnInfo['type'], system?: ColumnInfo['system']): ColumnInfo => ({
  id,
  name,
  type,
  nullable: name !== 'id',
  primaryKey: name === 'id',
  default: undefined,
  system,
});

const table: TableInfo = {
  id: 1000,
  version: 1,
  namespace: 'app',
  name: 't',
  kind: 'shared',
  columns: [
    column(1, 'i', plainType('int')),
    column(2, 'b', plainType('bigint')),
    column(3, 'de', { kind: 'decimal', precision: 10, scale: 2 }),
    column(4, 'd', plainType('double')),
    column(5, 't', plainType('text')),
    column(6, 'o', plainType('boolean')),
    column(7, '_seq', plainType('bigint'), '_seq'),
    column(8, '_deleted', plainType('boolean'), '_deleted'),
  ],
};
const catalog: CatalogView = {
  hasNamespace: () => true,
  table: (namespace, name) => (namespace === 'app' && name === 't' ? table : undefined),
};

const context = (parameters: readonly Cell[]): EvalContext => ({
  parameters,
  nowMicros: 0n,
  userId: 'ann',
  role: 'user',
  snowflakeId: () => 1n,
  uuidV7: () => '',
  ulid: () => '',
  random: () => 0,
});

const whole = (value: bigint): Fraction => ({ top: value, bottom: 1n });
const isFraction = (value: Value): value is Fraction => typeof value === 'object' && value !== null;
const compareFractions = (a: Fraction, b: Fraction): number => {
  const difference = a.top * b.bottom - b.top * a.bottom;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
};
const compareValues = (a: Exclude<Value, null>, b: Exclude<Value, null>): number => {
  if (isFraction(a) && isFraction(b)) return compareFractions(a, b);
  const [x, y] =
    typeof a === 'string'
      ? [[...a].map((c) => c.codePointAt(0) ?? 0), [...String(b)].map((c) => c.codePointAt(0) ?? 0)]
      : [[Number(a)], [Number(b)]];
  for (let at = 0; at < Math.max(x.length, y.length); at += 1) {
    const difference = (x[at] ?? -1) - (y[at] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
};

const ofDouble = (value: number): Fraction => ({ top: BigInt(value * 8), bottom: 8n });

// --- generators: text and meaning together ---

const int64 = (value: bigint): Value => {
  if (BigInt.asIntN(64, value) !== value) throw new Refused();
  return whole(value);
};

const integers = fc.letrec<{ leaf: Case; tree: Case }>((tie) => ({
  leaf: fc.oneof(
    fc.constant<Case>({ sql: 'i', meaning: (row) => (row.i === null ? null : whole(BigInt(row.i))) }),
    fc.constant<Case>({ sql: 't.b', meaning: (row) => (row.b === null ? null : whole(row.b)) }),
    fc
      .oneof(fc.bigInt(-4n, 4n), fc.constantFrom(9223372036854775807n, -9223372036854775808n, 2147483648n, 9007199254740993n))
      .map<Case>((value) => ({
        sql: value < 0n ? `(${value})` : String(value),
        meaning: () => whole(value),
      })),
  ),
  tree: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    tie('leaf'),
    fc.tuple(fc.constantFrom('+', '-', '*', '/', '%'), tie('tree'), tie('tree')).map<Case>(([operator, a, b]) => ({
      sql: `(${a.sql} ${operator} ${b.sql})`,
      meaning: (row) => {
        const x = a.meaning(row);
        const y = b.meaning(row);
        if (!isFraction(x) || !isFraction(y)) return null;
        if (operator === '+') return int64(x.top + y.top);
        if (operator === '-') return int64(x.top - y.top);
        if (operator === '*') return int64(x.top * y.top);
        if (y.top === 0n) throw new Refused();
        return operator === '/' ? int64(x.top / y.top) : whole(x.top % y.top);
      },
    })),
    fc
      .tuple(tie('tree'), tie('tree'))
      .map<Case>(([a, b]) => ({ sql: `COALESCE(${a.sql}, ${b.sql})`, meaning: (row) => a.meaning(row) ?? b.meaning(row) })),
  ),
}));

const decimals: fc.Arbitrary<Case> = fc.oneof(
  fc.constant<Case>({ sql: 'de', meaning: (row) => (row.de === null ? null : { top: row.de, bottom: 100n }) }),
  fc.tuple(fc.constantFrom('+', '-', '*'), fc.integer({ min: -2000, max: 2000 })).map<Case>(([operator, thousandths]) => ({
    sql: `(de ${operator} ${thousandths < 0 ? '(-' : ''}${(Math.abs(thousandths) / 1000).toFixed(3)}${thousandths < 0 ? ')' : ''})`,
    meaning: (row) => {
      if (row.de === null) return null;
      const [x, y] = [row.de * 10n, BigInt(thousandths)];
      if (operator === '*') return { top: x * y, bottom: 1000000n };
      return { top: operator === '+' ? x + y : x - y, bottom: 1000n };
    },
  })),
);

/** Numbers as written that no side may round. */
const numbers: fc.Arbitrary<Case> = fc.integer({ min: -4000, max: 4000 }).map<Case>((value) => ({
  sql: (value / 1000).toFixed(3),
  meaning: () => ({ top: BigInt(value), bottom: 1000n }),
}));
const eighths: fc.Arbitrary<Case> = fc
  .integer({ min: -32, max: 32 })
  .map((value) => ({ sql: `${value / 8 < 0 ? `(${value / 8})` : (value / 8).toFixed(3)}`, meaning: () => ofDouble(value / 8) }));
const doubles: fc.Arbitrary<Case> = fc.constant({ sql: 'd', meaning: (row) => (row.d === null ? null : ofDouble(row.d)) });

const texts = fc.letrec<{ tree: Case }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', maxDepth: 2 },
    fc.constant<Case>({ sql: 't', meaning: (row) => row.t }),
    fc.string({ unit: fc.constantFrom('a', 'B', '%', '_', "'", '\u{1F600}', '～'), maxLength: 4 }).map<Case>((value) => ({
      sql: `'${value.replaceAll("'", "''")}'`,
      meaning: () => value,
    })),
    tie('tree').map<Case>((a) => ({ sql: `LOWER(${a.sql})`, meaning: (row) => lower(a.meaning(row)) })),
    fc.tuple(tie('tree'), tie('tree')).map<Case>(([a, b]) => ({
      sql: `(${a.sql} || ${b.sql})`,
      meaning: (row) => {
        const [x, y] = [a.meaning(row), b.meaning(row)];
        return x === null || y === null ? null : String(x) + String(y);
      },
    })),
  ),
}));
const lower = (value: Value): Value => (value === null ? null : String(value).toLowerCase());

const OPERATORS: Readonly<Record<string, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

const compared = (pair: fc.Arbitrary<readonly [Case, Case]>): fc.Arbitrary<Case> =>
  fc.tuple(pair, fc.constantFrom(...Object.keys(OPERATORS)), fc.boolean()).map(([[a, b], operator, flip]) => {
    const [left, right] = flip ? [b, a] : [a, b];
    return {
      sql: `${left.sql} ${operator} ${right.sql}`,
      meaning: (row) => {
        const [x, y] = [left.meaning(row), right.meaning(row)];
        return x === null || y === null ? null : (OPERATORS[operator]?.(compareValues(x, y)) ?? null);
      },
    };
  });

/** LIKE by the textbook. */
const isLike = (text: readonly string[], pattern: readonly string[]): boolean => {
  const [wanted, ...rest] = pattern;
  if (wanted === undefined) return text.length === 0;
  if (wanted === '%') return isLike(text, rest) || (text.length > 0 && isLike(text.slice(1), pattern));
  return text.length > 0 && (wanted === '_' || wanted === text[0]) && isLike(text.slice(1), rest);
};

const conditionLeaf: fc.Arbitrary<Case> = fc.oneof(
  fc.constant<Case>({ sql: 'o', meaning: (row) => row.o }),
  fc.constantFrom<Case>(
    { sql: 'true', meaning: () => true },
    { sql: 'false', meaning: () => false },
    { sql: 'CAST(NULL AS BOOLEAN)', meaning: () => null },
  ),
  compared(fc.tuple(integers.tree, integers.tree)),
  compared(fc.tuple(integers.tree, numbers).filter(([a]) => /[ib]/.test(a.sql))),
  compared(fc.tuple(decimals, fc.oneof(decimals, numbers, integers.leaf))),
  compared(fc.tuple(doubles, fc.oneof(doubles, eighths))),
  compared(fc.tuple(texts.tree, texts.tree)),
  fc
    .tuple(
      fc.constantFrom('i', 'b', 'de'),
      fc.array(fc.oneof(numbers, fc.constant<Case>({ sql: 'NULL', meaning: () => null }), integers.leaf), { minLength: 1, maxLength: 5 }),
      fc.boolean(),
    )
    .map<Case>(([name, items, negated]) => ({
      sql: `${name} ${negated ? 'NOT ' : ''}IN (${items.map((item) => item.sql).join(', ')})`,
      meaning: (row) =>
        isIn(
          columnValue(row, name),
          items.map((item) => item.meaning(row)),
          negated,
        ),
    })),
  fc.tuple(fc.constantFrom('i', 'b', 'de'), numbers, numbers, fc.boolean()).map<Case>(([name, low, high, negated]) => ({
    sql: `${name} ${negated ? 'NOT ' : ''}BETWEEN ${low.sql} AND ${high.sql}`,
    meaning: (row) => {
      const [x, a, b] = [columnValue(row, name), low.meaning(row), high.meaning(row)];
      if (!isFraction(x) || !isFraction(a) || !isFraction(b)) return null;
      return (compareFractions(x, a) >= 0 && compareFractions(x, b) <= 0) !== negated;
    },
  })),
  fc
    .tuple(texts.tree, fc.string({ unit: fc.constantFrom('a', 'b', '%', '_', '\u{1F600}'), maxLength: 5 }), fc.boolean())
    .map<Case>(([a, pattern, insensitive]) => ({
      sql: `${a.sql} ${insensitive ? 'ILIKE' : 'LIKE'} '${pattern}'`,
      meaning: (row) => {
        const text = a.meaning(row);
        if (text === null) return null;
        return isLike([...(insensitive ? String(text).toLowerCase() : String(text))], [...pattern]);
      },
    })),
  fc.tuple(fc.oneof(integers.tree, decimals, texts.tree), fc.boolean()).map<Case>(([a, negated]) => ({
    sql: `${a.sql} IS ${negated ? 'NOT ' : ''}NULL`,
    meaning: (row) => (a.meaning(row) === null) !== negated,
  })),
);

const columnValue = (row: Sample, name: string): Value => {
  if (name === 'i') return row.i === null ? null : whole(BigInt(row.i));
  if (name === 'b') return row.b === null ? null : whole(row.b);
  return row.de === null ? null : { top: row.de, bottom: 100n };
};
const isIn = (value: Value, items: readonly Value[], negated: boolean): Value => {
  if (value === null) return null;
  const found = items.some((item) => item !== null && compareValues(value, item) === 0);
  return found ? !negated : items.includes(null) ? null : negated;
};

const conditions = fc.letrec<{ tree: Case }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    conditionLeaf,
    fc.tuple(tie('tree'), tie('tree'), fc.boolean()).map<Case>(([a, b, and]) => ({
      sql: `((${a.sql}) ${and ? 'AND' : 'OR'} (${b.sql}))`,
      meaning: (row) => {
        const x = a.meaning(row);
        if (x === !and) return x;
        const y = b.meaning(row);
        if (y === !and) return y;
        return x === null || y === null ? null : and;
      },
    })),
    tie('tree').map<Case>((a) => ({
      sql: `(NOT (${a.sql}))`,
      meaning: (row) => {
        const x = a.meaning(row);
        return x === null ? null : !x;
      },
    })),
    fc.tuple(tie('tree'), tie('tree'), tie('tree')).map<Case>(([a, b, c]) => ({
      sql: `(CASE WHEN ${a.sql} THEN ${b.sql} ELSE ${c.sql} END)`,
      meaning: (row) => (a.meaning(row) === true ? b.meaning(row) : c.meaning(row)),
    })),
    fc.tuple(tie('tree'), fc.constantFrom('TRUE', 'FALSE', 'UNKNOWN')).map<Case>(([a, what]) => ({
      sql: `((${a.sql}) IS ${what})`,
      meaning: (row) => a.meaning(row) === (what === 'UNKNOWN' ? null : what === 'TRUE'),
    })),
  ),
}));

const samples: fc.Arbitrary<Sample> = fc.record({
  i: fc.option(fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constantFrom(2147483647, -2147483648))),
  b: fc.option(fc.oneof(fc.bigInt(-5n, 5n), fc.constantFrom(9223372036854775807n, -9223372036854775808n, 9007199254740993n))),
  de: fc.option(fc.bigInt(-500n, 500n)),
  d: fc.option(fc.integer({ min: -32, max: 32 }).map((value) => value / 8)),
  t: fc.option(fc.string({ unit: fc.constantFrom('a', 'B', 'b', '\u{1F600}', '～'), maxLength: 4 })),
  o: fc.option(fc.boolean()),
});
const inputRow = (sample: Sample): InputRow => ({
  cells: [sample.i, sample.b, sample.de, sample.d, sample.t, sample.o],
  seq: 1n,
  deleted: false,
});

const direct = (sql: string): SelectPlan => {
  const statement = parseStatement(sql);
  if (!isPlanned(statement)) throw new Error('no plan');
  return asSelect(bindStatement(statement, { text: sql, catalog, namespace: 'app', parameters: [] }));
};
const asSelect = (plan: Plan): SelectPlan => {
  if (plan.kind !== 'select') throw new Error('not a SELECT');
  return plan;
};

type Outcome = { readonly value: unknown } | { readonly refused: true };
const outcome = (work: () => unknown): Outcome => {
  try {
    return { value: work() };
  } catch (error) {
    if (
      error instanceof Refused ||
      (error instanceof KalamError && (error.code === 'VALUE_OUT_OF_RANGE' || error.code === 'DIVISION_BY_ZERO'))
    )
      return { refused: true };
    throw error;
  }
};
/** A cell of BIGINT, INT or DECIMAL as a fraction. */
const asValue = (cell: Cell, scale: number): Value => {
  if (cell === null || typeof cell === 'boolean' || typeof cell === 'string') return cell;
  return { top: BigInt(cell as number | bigint), bottom: 10n ** BigInt(scale) };
};
const normal = (value: Value): string => {
  if (!isFraction(value)) return String(value);
  const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));
  const divisor = gcd(value.top, value.bottom) || 1n;
  return `${value.top / divisor}/${value.bottom / divisor}`;
};

beforeAll(initParser);

test('a condition selects what its meaning in three-valued logic says, with literals in place and lifted', () => {
  const compiler = new StatementCompiler({ plansMax: 50 });
  fc.assert(
    fc.property(conditions.tree, fc.array(samples, { minLength: 1, maxLength: 8 }), ({ sql, meaning }, rows) => {
      const text = `SELECT i FROM t WHERE ${sql}`;
      const plan = direct(text);
      const first = compiler.compile(text, { catalog, namespace: 'app', parameters: [] });
      const again = compiler.compile(text, { catalog, namespace: 'app', parameters: [] });
      if (first.kind !== 'plan' || again.kind !== 'plan') throw new Error('no plan');
      for (const row of rows) {
        const wanted = outcome(() => meaning(row) === true);
        const filters: [SelectPlan, readonly Cell[]][] = [
          [plan, []],
          [asSelect(first.plan), first.parameters],
          [asSelect(again.plan), again.parameters],
        ];
        for (const [{ filter }, parameters] of filters) {
          expect(
            outcome(() => filter === undefined || filter(inputRow(row), context(parameters))),
            text,
          ).toEqual(wanted);
        }
      }
    }),
    { numRuns: 1500 },
  );
});

test('numbers and texts come out exactly as the slow interpreter computes them', () => {
  fc.assert(
    fc.property(
      fc.oneof(integers.tree, decimals, texts.tree),
      fc.array(samples, { minLength: 1, maxLength: 5 }),
      ({ sql, meaning }, rows) => {
        const [node] = direct(`SELECT ${sql} AS x FROM t`).projection;
        if (node === undefined) throw new Error('no projection');
        const scale = node.type.kind === 'decimal' ? node.type.scale : 0;
        for (const row of rows) {
          expect(
            outcome(() => normal(asValue(node.evaluate(inputRow(row), context([])), scale))),
            sql,
          ).toEqual(outcome(() => normal(meaning(row))));
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('p, NOT p and p IS NULL part the rows of a table', () => {
  fc.assert(
    fc.property(conditions.tree, fc.array(samples, { maxLength: 10 }), ({ sql, meaning }, rows) => {
      const sound = rows.filter((row) => !('refused' in outcome(() => meaning(row))));
      const parts = [`(${sql})`, `NOT (${sql})`, `(${sql}) IS NULL`].map(
        (part) => direct(`SELECT 1 FROM t WHERE ${part}`).filter ?? (() => true),
      );
      for (const row of sound)
        expect(
          parts.filter((part) => part(inputRow(row), context([]))),
          sql,
        ).toHaveLength(1);
    }),
    { numRuns: 500 },
  );
});
