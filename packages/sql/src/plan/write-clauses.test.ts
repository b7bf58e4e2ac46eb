import { type Cell, plainType } from '@kalamdb/protocol';
import { beforeAll, expect, test } from 'vitest';
import type { ColumnInfo } from '../expression/input-row.ts';
import { parameterContext } from '../expression/input-row.ts';
import { initParser } from '../parser/parse.ts';
import { StatementCompiler } from './compiler.ts';
import type { InsertPlan } from './plans.ts';
import type { CatalogView, TableInfo } from './table-info.ts';

beforeAll(initParser);

const column = (name: string, options: Partial<ColumnInfo> = {}): ColumnInfo => ({
  id: 1,
  name,
  type: plainType('int'),
  nullable: true,
  primaryKey: false,
  default: undefined,
  system: undefined,
  ...options,
});
const TABLE: TableInfo = {
  id: 1000,
  version: 1,
  namespace: 'app',
  name: 't',
  kind: 'shared',
  columns: [
    column('id', { primaryKey: true, nullable: false }),
    column('n'),
    column('_seq', { type: plainType('bigint'), system: '_seq', nullable: false }),
    column('_deleted', { type: plainType('boolean'), system: '_deleted', nullable: false }),
  ],
};
const catalog: CatalogView = { hasNamespace: () => true, table: (_, name) => (name === 't' ? TABLE : undefined) };

function insert(compiler: StatementCompiler, text: string): { readonly plan: InsertPlan; readonly parameters: readonly Cell[] } {
  const compiled = compiler.compile(text, { catalog, namespace: 'app', parameters: [] });
  if (compiled.kind !== 'plan' || compiled.plan.kind !== 'insert') throw new Error('no INSERT');
  return { plan: compiled.plan, parameters: compiled.parameters };
}

function conflictOf(compiler: StatementCompiler, text: string): readonly (Cell | undefined)[] | undefined {
  const { plan, parameters } = insert(compiler, text);
  if (plan.conflict?.kind !== 'update') throw new Error('no DO UPDATE');
  const context = parameterContext(parameters);
  const [proposed = []] = plan.rowsFor(context);
  return plan.conflict.apply({ cells: [1, 10], seq: 5n, deleted: false }, proposed, context);
}

test('upserts that differ in their literals share a plan, with the values of each', () => {
  const compiler = new StatementCompiler({ plansMax: 10 });
  const upsert = (n: number, add: number, limit: number): string =>
    `INSERT INTO t VALUES (1, ${n}) ON CONFLICT (id) DO UPDATE SET n = t.n * ${add} + excluded.n WHERE t.n < ${limit}`;
  expect(conflictOf(compiler, upsert(3, 2, 11))).toEqual([1, 23]);
  expect(conflictOf(compiler, upsert(4, 3, 12))).toEqual([1, 34]);
  expect(conflictOf(compiler, upsert(4, 3, 10))).toBeUndefined();
  expect(compiler.size).toBe(1);
});

test('inserts of constants with clauses share a form, whatever the number of their rows', () => {
  const compiler = new StatementCompiler({ plansMax: 10 });
  const clauses = 'ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING id, _seq';
  for (const rows of ['(1, 2)', '(3, 4), (5, 6)', '(7, NULL)'])
    expect(conflictOf(compiler, `INSERT INTO t VALUES ${rows} ${clauses}`)).toBeDefined();
  expect(compiler.size).toBe(1);
  expect(insert(compiler, `INSERT INTO t VALUES (1, 2) ${clauses}`).plan.returning).toMatchObject({
    seqColumns: [1],
    computesWithSeq: false,
  });
});

test('RETURNING says which outputs are _seq, and whether another computes with it', () => {
  const compiler = new StatementCompiler({ plansMax: 10 });
  const returning = (list: string): unknown => insert(compiler, `INSERT INTO t VALUES (1, 2) RETURNING ${list}`).plan.returning;
  expect(returning('*')).toMatchObject({ seqColumns: [2], computesWithSeq: false });
  expect(returning('n')).toMatchObject({ seqColumns: [], computesWithSeq: false });
  expect(returning('_seq + 1, _seq AS a, _seq')).toMatchObject({ seqColumns: [1, 2], computesWithSeq: true });
  expect(returning('_updated')).toMatchObject({ seqColumns: [], computesWithSeq: true });
});
