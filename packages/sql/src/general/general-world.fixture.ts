import { type Cell, type DataType, KalamError, plainType } from '@kalamdb/protocol';
import type { ColumnInfo } from '../expression/input-row.ts';
import type { CatalogView, TableInfo } from '../plan/table-info.ts';
import type { GeneralPlan } from './general-plan.ts';
import { planGeneral } from './plan-general.ts';
import { planGeneralStatement } from './plan-statement.ts';
import type { GeneralRequest, ViewText } from './unit.ts';
import type { GeneralWritePlan } from './write/write-plan.ts';

function column(id: number, name: string, type: DataType, extra: Partial<ColumnInfo> = {}): ColumnInfo {
  return { id, name, type, nullable: true, primaryKey: false, default: undefined, system: undefined, ...extra };
}

function table(id: number, name: string, columns: Readonly<Record<string, DataType>>, kind: TableInfo['kind'] = 'shared'): TableInfo {
  const stored = Object.entries(columns).map(([key, type], index) =>
    column(index + 1, key, type, index === 0 ? { primaryKey: true, nullable: false } : {}),
  );
  const system = [
    column(100, '_seq', plainType('bigint'), { system: '_seq', nullable: false }),
    column(101, '_deleted', plainType('boolean'), { system: '_deleted', nullable: false }),
  ];
  return { id, version: 1, namespace: 'app', name, kind, columns: kind === 'view' ? stored : [...stored, ...system] };
}

const bigint = plainType('bigint');
const text = plainType('text');

/** Tables of the tests: one column of each type in `t`, rows that belong to it in `o`, two views, one of them in itself. */
export const TABLES: readonly TableInfo[] = [
  table(1, 't', {
    id: bigint,
    a: plainType('int'),
    b: plainType('smallint'),
    name: text,
    d: plainType('date'),
    ts: plainType('timestamp'),
    u: plainType('uuid'),
    x: plainType('double'),
    dec: { kind: 'decimal', precision: 10, scale: 2 },
    j: plainType('json'),
    ok: plainType('boolean'),
    e: { kind: 'embedding', dimension: 2 },
  }),
  table(2, 'o', { oid: bigint, tid: bigint, amount: { kind: 'decimal', precision: 10, scale: 2 }, name: text }),
  table(3, 'v', { id: bigint, n: text }, 'view'),
  table(4, 'loop', { id: bigint }, 'view'),
];

const VIEWS: Readonly<Record<string, ViewText>> = {
  v: { query: 'SELECT id, name FROM t WHERE a > 0', namespace: 'app', columns: ['id', 'n'] },
  loop: { query: 'SELECT id FROM loop', namespace: 'app', columns: ['id'] },
};

const CATALOG: CatalogView = {
  hasNamespace: (namespace) => namespace === 'app',
  table: (namespace, name) => (namespace === 'app' ? TABLES.find((candidate) => candidate.name === name) : undefined),
};

function request(parameters: readonly Cell[]): GeneralRequest {
  return {
    catalog: CATALOG,
    namespace: 'app',
    parameters,
    view: ({ name }) => VIEWS[name],
    userId: 'ann',
    role: 'user',
    nowMicros: 1_700_000_000_000_000n,
  };
}

/** Plans a query of the test world. */
export function plan(query: string, parameters: readonly Cell[] = []): GeneralPlan {
  return planGeneral(query, request(parameters));
}

/** Plans any statement of the test world. */
export function planStatement(text: string, parameters: readonly Cell[] = []): GeneralPlan | GeneralWritePlan {
  return planGeneralStatement(text, request(parameters));
}

/** Code and offset of the error of a query that cannot be planned. */
export function failure(query: string, parameters: readonly Cell[] = []): string {
  try {
    plan(query, parameters);
  } catch (error) {
    if (error instanceof KalamError) return `${error.code} ${error.position?.offset ?? '-'}`;
    throw error;
  }
  return 'no error';
}
