import {
  type Clock,
  kalamError,
  type Random,
  SnowflakeSequence,
  systemClock,
  systemRandom,
  systemTimers,
  type Timers,
} from '@kalamdb/protocol';
import { initParser, StatementCompiler } from '@kalamdb/sql';
import { type Durability, type FileSystem, systemFiles } from '@kalamdb/storage';
import { Accounts } from '../access/accounts.ts';
import { grantFor } from '../access/grant.ts';
import { DEFAULT_PASSWORD_COST, type PasswordCost, PasswordHasher } from '../access/password.ts';
import { bootstrapCatalog, ROOT_USER } from '../catalog/bootstrap.ts';
import { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import { registerViews } from '../catalog/views/register-views.ts';
import type { Setting } from '../catalog/views/settings-view.ts';
import type { Metric } from '../catalog/views/stats-view.ts';
import type { Principal } from '../contract.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import { runDdl } from '../ddl/run-statement.ts';
import { Janitor } from '../jobs/janitor.ts';
import { Live } from '../live/live.ts';
import { QueryRunner } from '../read/query-runner.ts';
import { LatchTable } from '../sequencer/latch-table.ts';
import { SeqGaps } from '../sequencer/seq-gaps.ts';
import { SeqReservation } from '../sequencer/seq-reservation.ts';
import { Sequencer } from '../sequencer/sequencer.ts';
import type { EvaluationSources } from '../session/evaluation.ts';
import type { SessionServices } from '../session/session.ts';
import type { TransactionLimits } from '../transaction/transaction.ts';
import { Transactions } from '../transaction/transactions.ts';
import { Autocommit } from '../write/autocommit.ts';
import { followCatalog } from './catalog-events.ts';
import { Database, type DatabaseStatus } from './database.ts';
import { EventLoopMonitor } from './event-loop-monitor.ts';
import { liveQueryRecords } from './live-query-records.ts';
import { liveSources } from './live-sources.ts';
import { openStorage, type Storage } from './open-storage.ts';
import { Secrets } from './secrets.ts';

/** Plans that are kept for statements of the same shape. */
const PLANS_MAX = 2000;

/** How a database is opened. */
export interface DatabaseOptions {
  /** Data directory, made if it is not there; `undefined`: in memory, gone when closed. */
  readonly directory: string | undefined;
  /** When a write is acknowledged: `sync` = on the disk, `relaxed` = with the operating system, on the disk within 200 ms. */
  readonly durability: Durability;
  /** 0 … 1023, part of every `_seq`; 1 unless given. */
  readonly nodeId?: number | undefined;
  /** Password of root, used only when root does not exist yet. Absent or empty: the database wants its first-run setup. */
  readonly rootPassword?: string | undefined;
  readonly passwordCost?: PasswordCost | undefined;
  /** Subscriptions that one user may hold over all connections. */
  readonly userSubscriptionsMax?: number | undefined;
  /** Heap weight of the ChangeSets kept for exact replay. */
  readonly tailBytesMax?: number | undefined;
  readonly transactionLimits?: Partial<TransactionLimits> | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly timers?: Timers | undefined;
  readonly files?: FileSystem | undefined;
  /** Rows of `system.settings`, secrets masked. */
  readonly settings?: (() => Iterable<Setting>) | undefined;
  /** Rows of `system.stats` beside those that the catalog counts. */
  readonly metrics?: (() => Iterable<Metric>) | undefined;
  /** A statement that reads for longer fails with STATEMENT_TIMEOUT; 30 s unless given. */
  readonly statementTimeoutMillis?: number | undefined;
  /** Told of what went wrong where no caller waits. */
  readonly onWarning?: ((text: string, detail: object) => void) | undefined;
}

interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly nodeId: number;
  readonly warn: (text: string, detail: object) => void;
}

/**
 * Opens a database: takes the directory, brings the hot tier to the end of the log, loads the catalog, and starts the
 * housekeeping. Throws DIRECTORY_LOCKED, FORMAT_UNKNOWN, DAMAGED_DATA; nothing stays open then.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { random = systemRandom, timers = systemTimers, files = systemFiles } = options;
  // Loads while the stores open; `databaseOn` waits for it and reports its failure.
  initParser().catch(() => undefined);
  return databaseOn(await openStorage({ directory: options.directory, files, timers, random }), options);
}

/** {@link openDatabase} on stores that are open already. The database owns them: they are closed with it, and when it cannot be opened. */
export async function databaseOn(storage: Storage, options: DatabaseOptions): Promise<Database> {
  const { clock = systemClock, random = systemRandom, timers = systemTimers, nodeId = 1 } = options;
  const environment: Environment = { clock, random, timers, nodeId, warn: options.onWarning ?? warnProcess };
  try {
    await initParser();
    return await assemble(storage, environment, options);
  } catch (error) {
    await storage.close();
    throw error;
  }
}

async function assemble(storage: Storage, environment: Environment, options: DatabaseOptions): Promise<Database> {
  const { clock, random, timers, nodeId, warn } = environment;
  const { directory, files = systemFiles, durability } = options;
  const sequencer = openSequencer(storage, environment, options);
  const gaps = await openGaps(sequencer, storage);
  const latches = new LatchTable(timers);
  const hasher = new PasswordHasher(options.passwordCost ?? DEFAULT_PASSWORD_COST, random);
  const catalog = await openCatalog(sequencer, options, hasher);
  const commit: DdlContext['commit'] = (turn) => sequencer.submit(turn, { alone: true });
  const accounts = new Accounts({ catalog, hasher, clock, commit: (turn) => sequencer.submit(turn) });
  const evaluation: EvaluationSources = { clock, random, ids: new SnowflakeSequence({ clock, node: nodeId }) };
  const live = new Live(liveSources({ catalog, sequencer, gaps, evaluation, clock, timers }), {
    userSubscriptionsMax: options.userSubscriptionsMax,
  });
  const isCurrent = (table: Table): boolean => catalog.tableById(table.id) === table;
  const queries = openQueries(sequencer, storage, { ...environment, timeoutMillis: options.statementTimeoutMillis });
  const transactions = new Transactions({
    sequencer,
    latches,
    queries,
    clock,
    timers,
    random,
    isCurrent,
    limits: options.transactionLimits,
  });
  const monitor = new EventLoopMonitor();
  const stopEnding = followCatalog(catalog, { live, rowCache: sequencer.rowCache });
  registerViews(catalog, {
    nodeId,
    mayRead,
    settings: options.settings ?? (() => []),
    metrics: () => [...eventLoopMetrics(monitor), ...storageMetrics(sequencer, storage), ...(options.metrics?.() ?? [])],
    liveQueries: () => liveQueryRecords(live.list()),
    transactions: () => transactions.list(),
  });
  const janitor = new Janitor({ catalog, sequencer, hot: storage.hot, timers, warn });
  const startedAtMillis = clock.now();

  const services: SessionServices = {
    catalog,
    compiler: new StatementCompiler({ plansMax: PLANS_MAX }),
    autocommit: new Autocommit({ sequencer, latches, queries, isCurrent }),
    transactions,
    queries,
    evaluation,
    timers,
    runStatement: ddlRunner({ catalog, accounts, random, commit }, latches),
  };

  return new Database({
    directory,
    accounts,
    live,
    services,
    secret: secretsOf(directory, files, random),
    status: () => ({ durability, startedAtMillis, nodeId, ...storageFigures(sequencer, storage), ...monitor.figures }),
    close: async () => {
      sequencer.stop();
      monitor.stop();
      transactions.abortAll(kalamError('SHUTTING_DOWN'));
      stopEnding();
      live.close();
      for (const part of [queries, janitor, sequencer, storage]) await part.close();
    },
  });
}

function ddlRunner(
  context: Pick<DdlContext, 'catalog' | 'accounts' | 'random' | 'commit'>,
  latches: LatchTable,
): SessionServices['runStatement'] {
  const exclusive: DdlContext['exclusive'] = (work) => latches.exclusive(work);
  const latch: DdlContext['latch'] = (tableIds, work) => latches.hold(tableIds, work);
  return (statement, { principal, namespace }) => runDdl(statement, { ...context, principal, namespace, exclusive, latch });
}

function secretsOf(directory: string | undefined, files: FileSystem, random: Random): Database['secret'] {
  const secrets = new Secrets(directory, files, random);
  return (name, bytes) => secrets.get(name, bytes);
}

function openQueries(
  sequencer: Sequencer,
  storage: Storage,
  { clock, timers, timeoutMillis }: Pick<Environment, 'clock' | 'timers'> & { readonly timeoutMillis: number | undefined },
): QueryRunner {
  const queries = new QueryRunner({ snapshots: sequencer.snapshots, clock, timers, hotPath: storage.directory?.hotPath, timeoutMillis });
  storage.onReopen(() => queries.letGo());
  return queries;
}

function storageFigures({ watermark }: Sequencer, { hot, log }: Storage): Pick<DatabaseStatus, 'watermark' | 'appliedSeq' | 'incarnation'> {
  return { watermark, appliedSeq: hot.appliedSeq, incarnation: log.incarnation };
}

function storageMetrics(sequencer: Sequencer, storage: Storage): readonly Metric[] {
  const { watermark, appliedSeq } = storageFigures(sequencer, storage);
  const { bytes, hits, misses } = sequencer.rowCache.status;
  return [
    ['watermark', watermark],
    ['applied_seq', appliedSeq],
    ['row_cache_bytes', bytes],
    ['row_cache_hits', hits],
    ['row_cache_misses', misses],
  ];
}

function eventLoopMetrics(monitor: EventLoopMonitor): readonly Metric[] {
  const { longestBlockMillis, blockP99Millis } = monitor.figures;
  return [
    ['event_loop_max_block_ms', longestBlockMillis.toFixed(1)],
    ['event_loop_p99_block_ms', blockP99Millis.toFixed(1)],
  ];
}

function openSequencer(storage: Storage, environment: Environment, options: DatabaseOptions): Sequencer {
  const { clock, timers, nodeId, warn } = environment;
  const { log, hot } = storage;
  const snapshot = hot.snapshot();
  const { reservation, startAt } = SeqReservation.load(snapshot);
  snapshot.close();
  const last = [log.lastSeq, hot.appliedSeq, startAt].reduce((a, b) => (a > b ? a : b));
  return new Sequencer({
    log,
    hot,
    sequence: new SnowflakeSequence({ clock, node: nodeId, last }),
    durability: options.durability,
    clock,
    timers,
    reservation,
    tailBytesMax: options.tailBytesMax,
    warn,
  });
}

/** Writes down where the log ended, before anything else is committed. A new database has nothing that could be lost. */
async function openGaps(sequencer: Sequencer, { log, hot }: Storage): Promise<SeqGaps> {
  const snapshot = hot.snapshot();
  const gaps = SeqGaps.load(snapshot);
  snapshot.close();
  const end = log.lastSeq > hot.appliedSeq ? log.lastSeq : hot.appliedSeq;
  if (end > 0n) gaps.added(await sequencer.submit((draft) => gaps.add(draft, end), { alone: true }));
  return gaps;
}

/** Loads the catalog, lets it follow every commit, and writes what a first start needs. */
async function openCatalog(sequencer: Sequencer, options: DatabaseOptions, hasher: PasswordHasher): Promise<Catalog> {
  const catalog = new Catalog();
  sequencer.snapshots.read((snapshot) => catalog.load((table) => snapshot.view(table, table.partitionFor('')).scan()));
  sequencer.observe((change) => catalog.observe(change));
  const isNew = catalog.user(ROOT_USER) === undefined;
  const { rootPassword = '', directory = '' } = options;
  const rootPasswordHash = isNew && rootPassword !== '' ? await hasher.hash(rootPassword) : '';
  if (isNew) {
    await sequencer.submit((draft) => bootstrapCatalog(draft, { rootPasswordHash, storageDirectory: `${directory}/storage` }), {
      alone: true,
    });
  }
  return catalog;
}

function mayRead(principal: Principal, table: Table): boolean {
  try {
    grantFor(principal, table, 'select');
    return true;
  } catch {
    return false;
  }
}

function warnProcess(text: string, detail: object): void {
  process.emitWarning(text, { detail: JSON.stringify(detail, (_key, value: unknown) => (value instanceof Error ? value.message : value)) });
}
