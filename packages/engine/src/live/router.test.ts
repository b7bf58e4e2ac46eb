import { type Cell, compareCells, plainType, type Row } from '@kalamdb/protocol';
import type { RoutingCondition, SubscriptionPlan } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import { SeededRandom } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTable, NO_OPTIONS, type TableColumn } from '../catalog/table.ts';
import type { RowChange } from '../contract.ts';
import { LiveCounters } from './counters.ts';
import type { GroupMember, QueryGroup } from './query-group.ts';
import { QueryShape } from './query-shape.ts';
import { bestRoute, describeRoute } from './route.ts';
import { Router } from './router.ts';
import type { LiveSources } from './sources.ts';

const TYPES = ['int', 'text', 'bigint', 'double', 'boolean'] as const;
const TABLE = createTable({
  id: 1000,
  version: 1,
  namespace: 'app',
  name: 't',
  kind: 'user',
  storedColumns: TYPES.map((kind, index): TableColumn => {
    const fixed = { default: undefined, system: undefined, ordinal: index + 1, comment: undefined };
    return { ...fixed, id: index + 1, name: `c${index}`, type: plainType(kind), nullable: index > 0, primaryKey: index === 0 };
  }),
  systemColumns: [],
  options: NO_OPTIONS,
  accessLevel: 'public',
  createdAtMicros: 0n,
  updatedAtMicros: 0n,
});
const PARTITION = TABLE.partitionFor('alice');
const CALLER = {} as ReturnType<LiveSources['context']>;
const NO_VALUES = { literals: '', values: { parameters: [] } };
const COMPARE = TYPES.map((kind) => compareCells(plainType(kind)));

/** Whether a row fulfils a condition, read from its definition. */
function fulfils({ columnIndex, points, ranges }: RoutingCondition, cells: Row): boolean {
  const cell = cells[columnIndex] ?? null;
  if (points.some((point) => point === cell)) return true;
  if (cell === null || Number.isNaN(cell)) return false;
  const order = COMPARE[columnIndex] ?? (() => 0);
  return ranges.some(({ from, to }) => {
    const lower = from === undefined ? 1 : order(cell, from.cell);
    const upper = to === undefined ? -1 : order(cell, to.cell);
    return (lower > 0 || (lower === 0 && from?.inclusive === true)) && (upper < 0 || (upper === 0 && to?.inclusive === true));
  });
}

function plan(shape: string, conditions: readonly RoutingCondition[]): SubscriptionPlan {
  return {
    kind: 'subscription',
    table: TABLE,
    shape,
    projection: TABLE.columns,
    star: true,
    filter: ({ cells }) => conditions.every((condition) => fulfils(condition, cells)),
    mentionsDeleted: false,
    mentionsUser: false,
    routing: () => conditions,
  };
}

function shape(name: string, conditions: readonly RoutingCondition[]): QueryShape {
  const clock = { now: () => 0, elapsed: () => 0 };
  return new QueryShape({
    name,
    plan: plan(name, conditions),
    partition: PARTITION,
    sinceSeq: 0n,
    maskedCells: [],
    caller: CALLER,
    clock,
    counters: new LiveCounters(),
  });
}

const join = (router: Router, name: string, conditions: readonly RoutingCondition[]): { group: QueryGroup; member: GroupMember } => {
  const group = router.acquire(name, NO_VALUES, () => shape(name, conditions));
  const member = { push: () => undefined, fail: () => undefined };
  router.join(group, member);
  return { group, member };
};

const visited = (router: Router, row: RowChange): QueryGroup[] =>
  [...(router.routes(PARTITION)?.concerned(row) ?? [])].flatMap((groups) => [...groups]);

function change(cells: Row, before: Row | undefined): RowChange {
  const version = { key: 'k' as RowKey, createdSeq: 1n, deleted: false };
  return { ...version, seq: 2n, cells, previous: before === undefined ? undefined : { ...version, seq: 1n, cells: before } };
}

const VALUES: readonly (readonly Cell[])[] = [
  [0, 1, 2, 3],
  ['', 'a', 'ab', '\uffee', '\u{1f600}', null],
  [0n, 1n, 2n, 3n, 4n, null],
  [0, -0, 0.5, Number.POSITIVE_INFINITY, Number.NaN, null],
  [true, false, null],
];
const cellOf = (columnIndex: number): fc.Arbitrary<Cell> => fc.constantFrom(...(VALUES[columnIndex] ?? []));
const cellsOf = fc.tuple(...TYPES.map((_, index) => cellOf(index)));
const conditionOf = fc.integer({ min: 0, max: TYPES.length - 1 }).chain((columnIndex) => {
  const bound = fc.option(fc.record({ cell: cellOf(columnIndex), inclusive: fc.boolean() }), { nil: undefined });
  const order = COMPARE[columnIndex] ?? (() => 0);
  const isBound = (cell: Cell | undefined): boolean => cell !== null && !Number.isNaN(cell);
  const range = fc.tuple(bound, bound).filter(([from, to]) => {
    if (![from?.cell, to?.cell].every(isBound)) return false;
    return from === undefined || to === undefined || order(from.cell ?? 0, to.cell ?? 0) < 0;
  });
  return fc.record({
    columnIndex: fc.constant(columnIndex),
    points: fc.uniqueArray(
      cellOf(columnIndex).filter((cell) => !Number.isNaN(cell)),
      { maxLength: 3 },
    ),
    ranges: fc.array(
      range.map(([from, to]) => ({ from, to }) as RoutingCondition['ranges'][number]),
      { maxLength: 3 },
    ),
  });
});

describe('routing', () => {
  it('visits every group that a change concerns, once, and no group whose index the change is not in, while groups come and go', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('toggle' as const), conditions: fc.array(conditionOf, { maxLength: 2 }) }),
      fc.record({ kind: fc.constant('change' as const), cells: cellsOf, before: fc.option(cellsOf, { nil: undefined }) }),
    );
    let [indexed, passedOver] = [0, 0];
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const router = new Router();
        const joined = new Map<string, ReturnType<typeof join>>();
        for (const action of steps) {
          if (action.kind === 'toggle') {
            const name = JSON.stringify(action.conditions, (_key, value) =>
              typeof value === 'bigint' || typeof value === 'number' ? `${value}` : value,
            );
            const found = joined.get(name);
            if (found === undefined) {
              joined.set(name, join(router, name, action.conditions));
            } else {
              router.leave(found.group, found.member);
              router.release(found.group);
              joined.delete(name);
            }
            continue;
          }
          const row = change(action.cells, action.before);
          const reached = visited(router, row);
          expect(new Set(reached).size).toBe(reached.length);
          for (const { group } of joined.values()) {
            const { route } = group;
            const isReached = reached.includes(group);
            if (group.bodyOf(row) !== undefined) expect(isReached).toBe(true);
            if (route === undefined) continue;
            // An index that is always gone round would visit what is not in it.
            expect(isReached).toBe([action.cells, action.before].some((cells) => cells !== undefined && fulfils(route, cells)));
            indexed += 1;
            if (!isReached) passedOver += 1;
          }
        }
        expect(router.groupCount).toBe(joined.size);
        expect(router.isUsed(PARTITION)).toBe(joined.size > 0);
        expect(router.isUsed({ ...PARTITION, owner: 'somebody else' })).toBe(false);
        for (const { group, member } of joined.values()) {
          router.leave(group, member);
          router.release(group);
        }
        expect([router.groupCount, router.routes(PARTITION)]).toEqual([0, undefined]);
      }),
    );
    expect(indexed).toBeGreaterThan(1000);
    expect(passedOver).toBeGreaterThan(500);
  });

  const point = (columnIndex: number, ...points: Cell[]): RoutingCondition => ({ columnIndex, points, ranges: [] });
  const between = (columnIndex: number, from: number | undefined, to: number | undefined): RoutingCondition => ({
    columnIndex,
    points: [],
    ranges: [
      {
        from: from === undefined ? undefined : { cell: from, inclusive: true },
        to: to === undefined ? undefined : { cell: to, inclusive: false },
      },
    ],
  });

  it.each([
    ['equality', (id: number) => point(0, id), 2, 0],
    ['IN', (id: number) => point(0, id, id + 20_000), 2, 0],
    ['ranges', (id: number) => between(0, id, id + 3), 6, 0],
    ['ranges without an end', (id: number) => between(0, id, undefined), 105, 10_000],
    ['ranges without a beginning', (id: number) => between(0, undefined, 10_000 - id), 9902, 0],
  ])('costs as much as the groups that can match, not as many as exist: %s', (_name, condition, inside, beyond) => {
    const router = new Router();
    const random = new SeededRandom(1);
    const order = Array.from({ length: 10_000 }, (_, id) => ({ id, at: random.uniform() })).sort((a, b) => a.at - b.at);
    for (const { id } of order) join(router, `${id}`, [condition(id)]);
    expect(visited(router, change([98, null, null, null, null], [104, null, null, null, null])).length).toBe(inside);
    expect(visited(router, change([40_000, null, null, null, null], undefined)).length).toBe(beyond);
  });

  it('chooses the condition that lets the fewest changes through, and none that it cannot see', () => {
    const chosen = (conditions: readonly RoutingCondition[], masked: readonly number[] = []) =>
      bestRoute(conditions, TABLE, masked)?.columnIndex;
    const selective = [
      point(1),
      point(0, 1),
      point(0, 1, 2),
      point(1, 'x'),
      point(1, 'x', 'y'),
      between(3, 1, 2),
      point(4, true),
      between(3, 1, undefined),
    ];
    for (const [index, condition] of selective.entries()) {
      const rest = selective.slice(index).reverse();
      expect(bestRoute(rest, TABLE, [])).toBe(condition);
    }
    expect(chosen([between(3, undefined, undefined)])).toBeUndefined();
    expect(chosen([point(1, 'x'), between(3, 1, 2)], [1])).toBe(3);
    expect(chosen([point(1, 'x')], [1])).toBeUndefined();
  });

  it('is described by the column and the entries of its index', () => {
    const described = (condition: RoutingCondition | undefined): unknown => describeRoute(condition, TABLE);
    expect(described(point(0, 1))).toEqual({ kind: 'equality', column: 'c0', entries: 1 });
    expect(described(point(1, 'x', null))).toEqual({ kind: 'in', column: 'c1', entries: 2 });
    expect(described({ ...between(3, 1, 2), points: [5] })).toEqual({ kind: 'range', column: 'c3', entries: 2 });
    expect(described(undefined)).toEqual({ kind: 'every-change' });
  });
});
