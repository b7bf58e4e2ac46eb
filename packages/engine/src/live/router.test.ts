import type { Row } from '@kalamdb/protocol';
import type { SubscriptionPlan } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowChange } from '../contract.ts';
import { LiveCounters } from './counters.ts';
import { TABLES } from './live-world.fixture.ts';
import { type GroupMember, QueryGroup } from './query-group.ts';
import { Router } from './router.ts';
import { routingEquality } from './routing-equality.ts';
import type { LiveSources } from './sources.ts';

const PARTITION = TABLES.user.partitionFor('alice');
const CONTEXT = {} as ReturnType<LiveSources['context']>;

function plan(shape: string, equalities: SubscriptionPlan['equalities']): SubscriptionPlan {
  return {
    kind: 'subscription',
    table: TABLES.user,
    shape,
    projection: TABLES.user.columns,
    star: true,
    filter: (row) => equalities.every(({ columnIndex, cell }) => row.cells[columnIndex] === cell),
    mentionsDeleted: false,
    mentionsUser: false,
    equalities,
  };
}

function group(name: string, equalities: SubscriptionPlan['equalities']): QueryGroup {
  return new QueryGroup({
    name,
    plan: plan(name, equalities),
    partition: PARTITION,
    sinceSeq: 0n,
    maskedCells: [],
    context: CONTEXT,
    counters: new LiveCounters(),
  });
}

const member = (): GroupMember => ({ push: () => undefined, fail: () => undefined });

function change(cells: Row, before: Row | undefined): RowChange {
  const version = { key: 'k' as RowKey, createdSeq: 1n, deleted: false };
  return { ...version, seq: 2n, cells, previous: before === undefined ? undefined : { ...version, seq: 1n, cells: before } };
}

const cellsOf = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom('x', 'y', null), fc.constantFrom(1n, 2n, null));
const equality = fc.constantFrom(
  { columnIndex: 0, cell: 1 },
  { columnIndex: 0, cell: 2 },
  { columnIndex: 1, cell: 'x' },
  { columnIndex: 1, cell: 'y' },
  { columnIndex: 2, cell: 1n },
  { columnIndex: 2, cell: 2n },
);

describe('routing', () => {
  it('visits every group that a change concerns, each once, however groups come and go', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('toggle' as const), equalities: fc.array(equality, { maxLength: 2 }) }),
      fc.record({ kind: fc.constant('change' as const), cells: cellsOf, before: fc.option(cellsOf, { nil: undefined }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const router = new Router();
        const joined = new Map<string, { readonly group: QueryGroup; readonly member: GroupMember }>();
        for (const action of steps) {
          if (action.kind === 'toggle') {
            const name = action.equalities.map(({ columnIndex, cell }) => `${columnIndex}=${cell}`).join();
            const found = joined.get(name);
            if (found === undefined) {
              const added = { group: router.acquire(name, () => group(name, action.equalities)), member: member() };
              router.join(added.group, added.member);
              joined.set(name, added);
            } else {
              router.leave(found.group, found.member);
              router.release(found.group);
              joined.delete(name);
            }
            continue;
          }
          const visited: QueryGroup[] = [];
          const row = change(action.cells, action.before);
          router.routes(PARTITION)?.visit(row, (reached) => visited.push(reached));
          expect(new Set(visited).size).toBe(visited.length);
          const concerned = [...joined.values()].filter((each) => each.group.bodyOf(row) !== undefined).map((each) => each.group);
          expect(concerned.filter((each) => !visited.includes(each))).toEqual([]);
        }
        expect(router.groupCount).toBe(joined.size);
        expect(router.isUsed(PARTITION)).toBe(joined.size > 0);
        expect(router.isUsed({ ...PARTITION, owner: 'somebody else' })).toBe(false);
      }),
    );
  });

  it('costs as much as the groups that can match, not as many as exist', () => {
    const router = new Router();
    for (let id = 0; id < 10_000; id++) router.join(group(`${id}`, [{ columnIndex: 0, cell: id }]), member());
    let visits = 0;
    router.routes(PARTITION)?.visit(change([7, 'x', null], [7, 'y', null]), () => visits++);
    expect(visits).toBe(1);
  });

  it('forgets a partition that nobody listens to', () => {
    const router = new Router();
    const [own, other] = [group('a', []), member()];
    router.join(own, other);
    router.leave(own, other);
    router.leave(own, other);
    expect(router.routes(PARTITION)).toBeUndefined();
  });

  it('indexes the key before other columns, and nothing that Map keys do not compare as SQL does', () => {
    const chosen = (equalities: SubscriptionPlan['equalities'], masked: readonly number[] = []) =>
      routingEquality(plan('p', equalities), masked)?.columnIndex;
    expect(
      chosen([
        { columnIndex: 1, cell: 'x' },
        { columnIndex: 0, cell: 1 },
      ]),
    ).toBe(0);
    expect(chosen([{ columnIndex: 1, cell: 'x' }])).toBe(1);
    expect(chosen([{ columnIndex: 0, cell: 1n }])).toBeUndefined();
    expect(chosen([{ columnIndex: 3, cell: 1n }])).toBeUndefined();
    expect(chosen([{ columnIndex: 1, cell: 'x' }], [1])).toBeUndefined();
  });
});
