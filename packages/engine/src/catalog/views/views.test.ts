import { plainType } from '@kalamdb/protocol';
import { SeededRandom, VirtualTime } from '@kalamdb/testing';
import { describe, expect, it } from 'vitest';
import type { Principal } from '../../contract.ts';
import { openCatalog } from '../catalog.fixture.ts';
import type { Catalog } from '../catalog.ts';
import { tableRepository } from '../system-tables/schemas.ts';
import { NO_OPTIONS } from '../table.ts';
import { newTableRecord } from '../table-record.ts';
import type { LiveQueryRecord } from './live-view.ts';
import { registerViews } from './register-views.ts';

const root: Principal = { userId: 'root', role: 'system' };
const alice: Principal = { userId: 'alice', role: 'user' };

const liveQuery = (subscriptionId: string): LiveQueryRecord => ({
  connectionId: 'c1',
  subscriptionId,
  namespace: 'default',
  table: 't',
  userId: 'alice',
  query: 'SELECT * FROM default.t',
  options: undefined,
  createdAtMicros: 1n,
  lastUpdateMicros: 2n,
  changes: 3n,
  lastPingMicros: 4n,
  state: 'behind',
  rowsDelivered: 5n,
  windowRows: undefined,
  toldSeq: 6n,
  lagMillis: 7n,
  bytesQueued: 8n,
});

async function catalogWithViews(): Promise<Catalog> {
  const { catalog, commit } = await openCatalog({ time: new VirtualTime(), random: new SeededRandom(1) });
  registerViews(catalog, {
    nodeId: 1,
    mayReadView: () => true,
    mayRead: (principal, table) => principal.role === 'system' || (table.kind !== 'system' && table.accessLevel !== 'dba'),
    settings: () => [{ name: 'server.port', value: '8080', description: 'Port' }],
    metrics: () => [
      ['server_version', '1.0'],
      ['total_tables', 7],
    ],
    serverLogs: () => [{ timestamp: '2026-01-31T08:00:00.000Z', level: 'INFO', target: undefined, line: 1, message: 'ready' }],
    server: () => undefined,
    liveQueries: () => [liveQuery('z'), liveQuery('a')],
    transactions: () => [],
    manifests: () => [],
  });
  await commit((writer) =>
    tableRepository.put(
      writer,
      newTableRecord({
        tableId: 2000,
        namespace: 'default',
        name: 't',
        kind: 'stream',
        columns: [
          { name: 'id', type: plainType('int'), nullable: false, primaryKey: true, default: { kind: 'function', name: 'SNOWFLAKE_ID' } },
          { name: 'price', type: { kind: 'decimal', precision: 10, scale: 2 }, nullable: true, primaryKey: false, default: undefined },
        ],
        options: { ...NO_OPTIONS, ttlSeconds: 30 },
        accessLevel: undefined,
        nowMicros: 5n,
      }),
    ),
  );
  return catalog;
}

function rows(catalog: Catalog, name: string, principal: Principal = root): readonly (readonly unknown[])[] {
  const [namespace = '', table = ''] = name.split('.');
  const id = catalog.table(namespace, table)?.id ?? -1;
  return [...(catalog.provider(id)?.rows(principal) ?? [])].map(({ cells }) => cells);
}

describe('computed tables', () => {
  it('system.tables shows newest versions; streams have no storage', async () => {
    const found = rows(await catalogWithViews(), 'system.tables').map((cells) => cells.slice(0, 5));
    expect(found).toEqual([
      ['dba', 'notifications', 'shared', 'local', 1n],
      ['dba', 'stats', 'shared', 'local', 1n],
      ['default', 't', 'stream', null, 1n],
    ]);
  });

  it('system.columns shows SQL types and defaults, system columns last', async () => {
    const found = rows(await catalogWithViews(), 'system.columns').filter((cells) => cells[0] === 'default');
    expect(found.map((cells) => cells.slice(3).filter((_, index) => index !== 2))).toEqual([
      [1n, 'id', 'INT', 'SNOWFLAKE_ID()', 1n, false, true, 1n],
      [2n, 'price', 'DECIMAL(10, 2)', null, 2n, true, false, null],
      [3n, '_seq', 'BIGINT', null, 3n, false, false, null],
      [4n, '_deleted', 'BOOLEAN', 'FALSE', 4n, false, false, null],
    ]);
  });

  it('information_schema shows each reader what it may read', async () => {
    const catalog = await catalogWithViews();
    const names = (principal: Principal): unknown[] =>
      rows(catalog, 'information_schema.tables', principal).map((cells) => `${cells[1]}.${cells[2]}`);
    expect(names(alice)).toEqual(['dba.notifications', 'default.t']);
    expect(names(root)).toEqual(expect.arrayContaining(['dba.stats', 'system.users', 'system.tables', 'information_schema.columns']));
    const columns = rows(catalog, 'information_schema.columns', alice).filter((cells) => cells[2] === 't');
    expect(columns.map((cells) => [cells[3], cells[4], cells[6], cells[7]])).toEqual([
      ['id', 0n, 'NO', 'Int32'],
      ['price', 1n, 'YES', 'Decimal128(10, 2)'],
      ['_seq', 2n, 'NO', 'Int64'],
      ['_deleted', 3n, 'NO', 'Boolean'],
    ]);
    expect(rows(catalog, 'information_schema.schemata', alice).map((cells) => cells[1])).toEqual([
      'dba',
      'default',
      'information_schema',
      'system',
    ]);
  });

  it.each(['system.tables', 'system.columns', 'information_schema.tables', 'information_schema.columns'])(
    '%s gives every row that has the demanded texts',
    async (name) => {
      const catalog = await catalogWithViews();
      const [namespace = '', table = ''] = name.split('.');
      const info = catalog.table(namespace, table);
      const provider = catalog.provider(info?.id ?? -1);
      if (info === undefined || provider === undefined) throw new Error(name);
      const places = ['namespace_id', 'table_schema', 'table_name'].map((column) =>
        info.columns.findIndex((other) => other.name === column),
      );
      const all = [...provider.rows(root)].map(({ cells }) => cells);
      for (const demandedPlaces of [places.filter((at) => at >= 0), ...places.filter((at) => at >= 0).map((at) => [at])]) {
        for (const wanted of [...all, all[0]?.map(() => 'nowhere') ?? []]) {
          const demanded = new Map(demandedPlaces.map((at) => [info.columns[at]?.name ?? '', String(wanted[at])]));
          const fitting = (rows: readonly (readonly unknown[])[]): readonly (readonly unknown[])[] =>
            rows.filter((cells) => demandedPlaces.every((at) => cells[at] === wanted[at]));
          const found = [...provider.rows(root, demanded)].map(({ cells }) => cells);
          expect(found).toEqual(fitting(all));
        }
      }
    },
  );

  it('settings, figures and live queries come from their sources', async () => {
    const catalog = await catalogWithViews();
    expect(rows(catalog, 'system.settings')).toEqual([['server.port', '8080', 'Port', 'server']]);
    expect(rows(catalog, 'system.stats')).toEqual(
      expect.arrayContaining([
        ['total_users', '1'],
        ['total_tables', '7'],
        ['server_version', '1.0'],
      ]),
    );
    expect(rows(catalog, 'system.live').map((cells) => cells[0])).toEqual(['alice-c1-a', 'alice-c1-z']);
  });

  it('every row has as many cells as its table has columns', async () => {
    const catalog = await catalogWithViews();
    for (const table of catalog.systemTables()) {
      for (const cells of rows(catalog, `${table.namespace}.${table.name}`)) expect(cells).toHaveLength(table.columns.length);
    }
  });
});
