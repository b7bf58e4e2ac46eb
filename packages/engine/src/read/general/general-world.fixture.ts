import { type Cell, type DataType, type Row, systemClock, systemTimers } from '@kalamdb/protocol';
import type { GeneralOutput } from '@kalamdb/sql';
import type { RowKey } from '@kalamdb/storage';
import { createTable, NO_OPTIONS, type Table, type TableColumn } from '../../catalog/table.ts';
import type { Principal, RowVersion } from '../../contract.ts';
import { Slices } from '../../slices/slices.ts';
import type { OpenSource } from '../select-steps.ts';
import { type GeneralAnswer, GeneralExecutor, type GeneralExecutorSources } from './general-executor.ts';
import type { GeneralRequest } from './general-request.ts';

/** A table of a test with its rows. */
export interface GivenTable {
  readonly types: readonly DataType[];
  readonly rows: readonly Row[];
  /** Positions of rows that are tombstones. */
  readonly deleted?: readonly number[];
  readonly maskedCells?: readonly number[];
}

const ANN: Principal = { userId: 'ann', role: 'user' };

function column(id: number, name: string, type: DataType, system?: TableColumn['system']): TableColumn {
  return { id, name, type, nullable: true, primaryKey: false, default: undefined, system, ordinal: id, comment: undefined };
}

/** A table with the columns `c0`, `c1` …, then `_seq` and `_deleted`. */
export function tableOf(id: number, types: readonly DataType[]): Table {
  return createTable({
    id,
    version: 1,
    namespace: 'app',
    name: `t${id}`,
    kind: 'shared',
    storedColumns: types.map((type, index) => column(index + 1, `c${index}`, type)),
    systemColumns: [column(100, '_seq', { kind: 'bigint' }, '_seq'), column(101, '_deleted', { kind: 'boolean' }, '_deleted')],
    options: NO_OPTIONS,
    createdAtMicros: 0n,
    updatedAtMicros: 0n,
  });
}

/** How a query of a test differs from one of Ann's that has no tables. */
export interface GivenQuery {
  readonly tables?: readonly GivenTable[];
  readonly parameters?: readonly Cell[];
  readonly principal?: Principal;
  readonly rowsMax?: number;
  readonly signal?: AbortSignal;
  readonly outputs?: (tables: readonly Table[]) => readonly GeneralOutput[];
  readonly open?: () => OpenSource;
}

/** A general executor over tables that a test gives. */
export class GeneralWorld {
  readonly executor: GeneralExecutor;

  constructor(options: Partial<GeneralExecutorSources> = {}) {
    const environment = { clock: systemClock, timers: systemTimers };
    this.executor = new GeneralExecutor({ slices: new Slices(environment), ...environment, ...options });
  }

  /** Runs a query whose tables are called `k0`, `k1` … in their order. */
  run(text: string, given: GivenQuery = {}): Promise<GeneralAnswer> {
    return this.executor.run(requestOf(text, given), given.signal);
  }

  async rows(text: string, given: GivenQuery = {}): Promise<readonly Row[]> {
    return (await this.run(text, given)).rows;
  }
}

function requestOf(text: string, given: GivenQuery): GeneralRequest {
  const { tables = [], parameters = [], principal = ANN, rowsMax, outputs, open } = given;
  const made = tables.map(({ types }, index) => tableOf(1000 + index, types));
  const sources = tables.map(({ maskedCells = [] }, index) => {
    const table = made[index] ?? tableOf(0, []);
    return { name: `k${index}`, grant: { table, partition: table.partitionFor(''), maskedCells }, computed: undefined };
  });
  const plan = { kind: 'general', text, sources, parameters, outputs: outputs?.(made), mentionsUser: false, limited: false } as const;
  return {
    plan: { ...plan, sources: sources.map(({ name, grant: { table } }) => ({ name, table })) },
    sources,
    principal,
    rowsMax,
    open: open ?? (() => sourceOf(tables)),
  };
}

function sourceOf(tables: readonly GivenTable[]): OpenSource {
  return {
    view: (_, { tableId }) => ({ get: () => undefined, scan: () => versions(tables[tableId - 1000]), scanBySeq: () => [] }),
    close: () => undefined,
  };
}

function* versions(table: GivenTable | undefined): Iterable<RowVersion> {
  for (const [index, cells] of (table?.rows ?? []).entries()) {
    const seq = BigInt(index);
    yield { key: `${index}` as RowKey, seq, createdSeq: seq, deleted: table?.deleted?.includes(index) === true, cells };
  }
}
