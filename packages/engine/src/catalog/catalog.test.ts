import { plainType } from '@kalamdb/protocol';
import type { TableKind } from '@kalamdb/sql';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChangeSet, RowChange } from '../contract.ts';
import { allocateTableId, bootstrapCatalog, newUser } from './bootstrap.ts';
import { type CatalogWorld, openCatalog } from './catalog.fixture.ts';
import { Catalog, type CatalogChange } from './catalog.ts';
import { droppedTableRepository } from './system-tables/dropped-tables.ts';
import { namespaceRepository } from './system-tables/namespaces.ts';
import type { SystemWriter } from './system-tables/repository.ts';
import { tableRepository } from './system-tables/schemas.ts';
import { userRepository } from './system-tables/users.ts';
import { NO_OPTIONS } from './table.ts';
import { newTableRecord, type TableRecord } from './table-record.ts';

const open = (): Promise<CatalogWorld> => openCatalog({ time: new VirtualTime(), random: new SeededRandom(1) });

const ID_COLUMN = { name: 'id', type: plainType('int'), nullable: false, primaryKey: true, default: undefined };

function record(tableId: number, namespace: string, name: string, kind: TableKind = 'shared'): TableRecord {
  const accessLevel = kind === 'shared' ? 'private' : undefined;
  return newTableRecord({ tableId, namespace, name, kind, columns: [ID_COLUMN], options: NO_OPTIONS, accessLevel, nowMicros: 5n });
}

/** The next version of a table, with one more column. */
function widened(before: TableRecord): TableRecord {
  const column = {
    id: before.nextColumnId,
    name: `c${before.nextColumnId}`,
    type: plainType('text'),
    nullable: true,
    primaryKey: false,
    default: undefined,
    system: undefined,
    ordinal: before.nextColumnId,
    comment: undefined,
  } as const;
  return { ...before, version: before.version + 1, columns: [...before.columns, column], nextColumnId: before.nextColumnId + 1 };
}

function addVersion(writer: SystemWriter, before: TableRecord): void {
  tableRepository.put(writer, { ...before, isLatest: false });
  tableRepository.put(writer, widened(before));
}

describe('bootstrap', () => {
  it('makes root, the local storage, the first namespaces and their tables, once', async () => {
    const world = await open();
    expect(world.catalog.user('root')).toMatchObject({ role: 'system', authType: 'Internal', email: 'root@localhost', passwordHash: '' });
    expect(world.catalog.namespaces().map(({ namespaceId }) => namespaceId)).toEqual(['dba', 'default']);
    expect(world.catalog.storage('local')).toMatchObject({ type: 'filesystem' });
    expect([...world.catalog.tables()].map(({ name, accessLevel }) => [name, accessLevel])).toEqual([
      ['notifications', 'public'],
      ['stats', 'dba'],
    ]);
    const again = await world.reopen();
    const watermark = again.sequencer.watermark;
    await again.commit((writer) => bootstrapCatalog(writer, { rootPasswordHash: 'other', storageDirectory: './data/storage' }));
    expect(again.sequencer.watermark).toBe(watermark);
    await again.commit((writer) => bootstrapCatalog(writer, { rootPasswordHash: 'other', storageDirectory: './moved/storage' }));
    expect(again.catalog.storage('local')?.baseDirectory).toBe('./moved/storage');
    expect(again.catalog.user('root')?.passwordHash).toBe('');
  });

  it('never gives a table id twice, not even after a restart without tables', async () => {
    const world = await open();
    const first = await world.commit(allocateTableId);
    const again = await world.reopen();
    expect(await again.commit(allocateTableId)).toBe(first + 1);
  });
});

describe('look-ups', () => {
  it('hand out the same object until the schema changes', async () => {
    const { catalog, commit } = await open();
    const made = record(2000, 'default', 't');
    await commit((writer) => tableRepository.put(writer, made));
    const table = catalog.table('default', 't');
    expect(table).toBeDefined();
    expect(catalog.tableById(2000)).toBe(table);
    await commit((writer) => namespaceRepository.put(writer, { namespaceId: 'other', createdAtMicros: 1n, options: '{}' }));
    expect(catalog.table('default', 't')).toBe(table);
    await commit((writer) => addVersion(writer, made));
    expect(catalog.table('default', 't')).not.toBe(table);
    expect(catalog.table('default', 't')).toMatchObject({ id: 2000, version: 2 });
  });

  it('know system tables by name and the internal ones by id only', async () => {
    const { catalog } = await open();
    expect(catalog.hasNamespace('system')).toBe(true);
    expect(catalog.table('system', 'users')?.id).toBe(3);
    expect(catalog.table('system', 'counters')).toBeUndefined();
    expect(catalog.tableById(10)?.name).toBe('counters');
  });

  it('read rows of older versions into the newest columns', async () => {
    const { catalog, commit } = await open();
    const made = record(2000, 'default', 't');
    await commit((writer) => tableRepository.put(writer, made));
    const old = catalog.table('default', 't')?.codec.encode([7]);
    await commit((writer) => addVersion(writer, made));
    const table = catalog.table('default', 't');
    expect(old === undefined ? undefined : table?.codec.decode(old)).toEqual([7, null]);
    expect(table?.codec.decode(table.codec.encode([8, 'x']))).toEqual([8, 'x']);
  });

  it('partition rows by owner where rows have owners', async () => {
    const { catalog, commit } = await open();
    const kinds: readonly TableKind[] = ['user', 'shared', 'stream'];
    await commit((writer) => {
      for (const [index, kind] of kinds.entries()) tableRepository.put(writer, record(2000 + index, 'default', kind, kind));
      const lobby = { ...record(2003, 'default', 'lobby', 'stream'), options: { ...NO_OPTIONS, streamScope: 'shared' } as const };
      tableRepository.put(writer, lobby);
    });
    const owners = ['user', 'shared', 'stream', 'lobby'].map((name) => catalog.table('default', name)?.partitionFor('bob').owner);
    expect(owners).toEqual(['bob', '', 'bob', '']);
  });
});

describe('events', () => {
  it('tell of tables and users, each once per commit', async () => {
    const { catalog, commit } = await open();
    const seen: string[] = [];
    const describeChange = (change: CatalogChange): string =>
      change.kind === 'user-changed'
        ? `${change.before?.role}>${change.user.role}`
        : `${change.kind} ${change.table.name} ${change.table.version}`;
    catalog.onChange((change) => seen.push(describeChange(change)));
    const made = record(2000, 'default', 't');
    const user = newUser(
      { userId: 'bob', role: 'user', authType: 'Internal', passwordHash: '', email: undefined, authData: undefined },
      1n,
    );
    await commit((writer) => tableRepository.put(writer, made));
    await commit((writer) => addVersion(writer, made));
    await commit((writer) => {
      for (const version of catalog.versionsOf('default', 't')) tableRepository.remove(writer, version);
    });
    await commit((writer) => userRepository.put(writer, user));
    await commit((writer) => userRepository.put(writer, { ...user, role: 'dba' }));
    expect(seen).toEqual(['table-created t 1', 'table-changed t 2', 'table-dropped t 2', 'undefined>user', 'user>dba']);
  });
});

type Step =
  | { readonly kind: 'create' | 'drop' | 'alter'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'create-namespace' | 'drop-namespace'; readonly namespace: string }
  | { readonly kind: 'reopen' };

const namespaces = fc.constantFrom('a', 'b');
const names = fc.constantFrom('t', 'u', 'v');
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('create', 'drop', 'alter'), namespace: namespaces, name: names }),
  fc.record({ kind: fc.constantFrom('create-namespace', 'drop-namespace'), namespace: namespaces }),
  fc.constant<Step>({ kind: 'reopen' }),
);

/** What a catalog holds, the slow way: a list per table with the number of columns of each version. */
class Model {
  readonly namespaces = new Set(['dba', 'default']);
  readonly tables = new Map<string, { readonly id: number; readonly widths: number[] }>();
  readonly dropped: number[] = [];

  lines(): string[] {
    return [...this.tables].map(([name, { id, widths }]) => `${name} ${id} ${widths.join()}`).sort();
  }
}

function takeStep(step: Step, model: Model, { catalog }: CatalogWorld): ((writer: SystemWriter) => void) | undefined {
  switch (step.kind) {
    case 'create-namespace':
      model.namespaces.add(step.namespace);
      return (writer) => namespaceRepository.put(writer, { namespaceId: step.namespace, createdAtMicros: 1n, options: '{}' });
    case 'drop-namespace': {
      const existing = catalog.namespace(step.namespace);
      model.namespaces.delete(step.namespace);
      return existing === undefined ? undefined : (writer) => namespaceRepository.remove(writer, existing);
    }
    case 'create': {
      const name = `${step.namespace}.${step.name}`;
      if (model.tables.has(name)) return undefined;
      return (writer) => {
        const id = allocateTableId(writer);
        model.tables.set(name, { id, widths: [1] });
        tableRepository.put(writer, record(id, step.namespace, step.name));
      };
    }
    case 'alter': {
      const newest = catalog.versionsOf(step.namespace, step.name).at(-1);
      if (newest === undefined) return undefined;
      model.tables.get(`${step.namespace}.${step.name}`)?.widths.push(newest.columns.length + 1);
      return (writer) => addVersion(writer, newest);
    }
    case 'drop': {
      const name = `${step.namespace}.${step.name}`;
      const table = model.tables.get(name);
      if (table === undefined) return undefined;
      model.tables.delete(name);
      model.dropped.push(table.id);
      return (writer) => {
        for (const version of catalog.versionsOf(step.namespace, step.name)) tableRepository.remove(writer, version);
        const gone = {
          tableId: table.id,
          namespace: step.namespace,
          name: step.name,
          kind: 'shared',
          jobId: 'CL-0',
          droppedAtMicros: 1n,
        } as const;
        droppedTableRepository.put(writer, gone);
      };
    }
    default:
      return undefined;
  }
}

function check(catalog: Catalog, model: Model): void {
  expect(catalog.namespaces().map(({ namespaceId }) => namespaceId)).toEqual([...model.namespaces].sort());
  const tables = [...catalog.tables('a'), ...catalog.tables('b')];
  const lines = tables.map(({ namespace, name, id }) => {
    const widths = catalog.versionsOf(namespace, name).map(({ columns }) => columns.length);
    return `${namespace}.${name} ${id} ${widths.join()}`;
  });
  expect(lines).toEqual(model.lines());
  expect(
    catalog
      .droppedTables()
      .map(({ tableId }) => tableId)
      .sort((a, b) => a - b),
  ).toEqual([...model.dropped].sort((a, b) => a - b));
  for (const id of model.dropped) expect(catalog.tableById(id)).toBeUndefined();
  for (const table of tables) {
    const width = catalog.versionsOf(table.namespace, table.name).at(-1)?.columns.length;
    expect(catalog.tableById(table.id)).toBe(table);
    expect(table.storedColumns).toHaveLength(width ?? -1);
  }
}

describe('the fold', () => {
  it('equals a slow model after every commit and every restart', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 30 }), async (program) => {
        let world = await open();
        const model = new Model();
        for (const step of program) {
          if (step.kind === 'reopen') world = await world.reopen();
          const turn = takeStep(step, model, world);
          if (turn !== undefined) await world.commit(turn);
          check(world.catalog, model);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('opens ten thousand tables without parsing their definitions', () => {
    const rows: RowChange[] = [];
    const writer: SystemWriter = {
      nowMicros: 1n,
      latest: () => undefined,
      put: (_layout, _partition, write) => {
        const change: RowChange = {
          key: write.key ?? ('' as never),
          seq: 1n,
          createdSeq: 1n,
          deleted: false,
          cells: write.cells,
          previous: undefined,
        };
        rows.push(change);
        return change;
      },
    };
    for (let id = 1000; id < 11_000; id++) tableRepository.put(writer, record(id, `n${id % 100}`, `t${id}`));
    const catalog = new Catalog();
    const commit: ChangeSet = { seq: 1n, parts: [{ partition: { tableId: 2, owner: '' }, rows }], bytes: 0 };
    const before = process.cpuUsage();
    catalog.observe(commit);
    const { user } = process.cpuUsage(before);
    expect(user).toBeLessThan(500_000);
    expect(catalog.table('n7', 't1007')?.id).toBe(1007);
    expect([...catalog.tables('n7')]).toHaveLength(100);
  });
});
