import { join } from 'node:path';
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
import { type EvalContext, initParser, StatementCompiler } from '@kalamdb/sql';
import { type Durability, type FileSystem, systemFiles } from '@kalamdb/storage';
import type { AuditTrail } from '../access/audit-trail.ts';
import { DEFAULT_PASSWORD_COST, type PasswordCost, PasswordHasher } from '../access/password.ts';
import type { PasswordRules } from '../access/password-rules.ts';
import { bootstrapCatalog, ROOT_USER } from '../catalog/bootstrap.ts';
import { Catalog } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { ServerNode } from '../catalog/views/cluster-views.ts';
import { registerViews, type ViewSources } from '../catalog/views/register-views.ts';
import type { ServerLogLine } from '../catalog/views/server-logs-view.ts';
import type { Setting } from '../catalog/views/settings-view.ts';
import type { Metric } from '../catalog/views/stats-view.ts';
import type { ColdTier, ColdTierSettings } from '../cold/cold-tier.ts';
import { Manifests } from '../cold/manifests.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import { runDdl } from '../ddl/run-statement.ts';
import { type JobOptions, Jobs } from '../jobs/jobs.ts';
import { Live } from '../live/live.ts';
import { SpoolFolder } from '../read/answer-spool.ts';
import type { ColdTables } from '../read/cold-select.ts';
import { GeneralExecutor } from '../read/general/general-executor.ts';
import { QueryRunner } from '../read/query-runner.ts';
import { NO_ROW_LIMITS, type RowLimits } from '../read/row-limits.ts';
import { CommitWait } from '../sequencer/commit-wait.ts';
import { LatchTable } from '../sequencer/latch-table.ts';
import { SeqGaps } from '../sequencer/seq-gaps.ts';
import { SeqReservation } from '../sequencer/seq-reservation.ts';
import { Sequencer } from '../sequencer/sequencer.ts';
import { type EvaluationSources, evaluationFor } from '../session/evaluation.ts';
import { generalColumns } from '../session/general-select.ts';
import { REQUEST_LIMITS, type RequestLimits } from '../session/request.ts';
import type { SessionServices } from '../session/session.ts';
import type { StatementRecord } from '../session/statement-record.ts';
import { type ViewBinding, viewQueryColumns } from '../session/view-query.ts';
import { StorageRegistry } from '../stores/storage-registry.ts';
import type { TransactionLimits } from '../transaction/transaction.ts';
import { Transactions } from '../transaction/transactions.ts';
import { Autocommit } from '../write/autocommit.ts';
import { auditedCommit, noteRun } from './audited-commit.ts';
import { followCatalog } from './catalog-events.ts';
import { Database, type DatabaseStatus } from './database.ts';
import { EventLoopMonitor } from './event-loop-monitor.ts';
import { type DatabaseFigures, databaseFigures, figureMetrics } from './figures.ts';
import { liveQueryRecords } from './live-query-records.ts';
import { liveSources } from './live-sources.ts';
import { manifestEntries } from './manifest-entries.ts';
import { openAccess } from './open-access.ts';
import { openBackups } from './open-backups.ts';
import { openCold } from './open-cold.ts';
import { openStorage, type Storage } from './open-storage.ts';
import { readingRights } from './reading-rights.ts';
import { Secrets } from './secrets.ts';
import { rowFinder, tableFigures } from './table-figures.ts';

/** The folder in the data directory for answers that are made faster than they are read. */
const SPOOL_NAME = 'spool';
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
  /** What passwords must be like that people choose for themselves. */
  readonly passwordRules?: PasswordRules | undefined;
  /** API tokens that one user may have; 100 unless given. */
  readonly userApiTokensMax?: number | undefined;
  /** Subscriptions that one user may hold over all connections. */
  readonly userSubscriptionsMax?: number | undefined;
  /** Size of each file of the log, 64 MiB unless given. */
  readonly logFileBytes?: number | undefined;
  /** What copies of segments that lie in other storages take on the disk at most; 1 GiB unless given. */
  readonly segmentCacheBytesMax?: number | undefined;
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
  /** Memory of joins and all other general queries together; 512 MiB unless given. */
  readonly generalMemoryBytesMax?: number | undefined;
  /** Bounds of what a SELECT answers; none unless given. */
  readonly rowLimits?: RowLimits | undefined;
  readonly requestLimits?: Partial<RequestLimits> | undefined;
  /** Bounds of background jobs. */
  readonly jobs?: JobOptions | undefined;
  /** Bounds of the cold tier. */
  readonly cold?: ColdTierSettings | undefined;
  /** Told of each statement that ran, at once. It must be quick and must not throw. */
  readonly onStatement?: ((record: StatementRecord) => void) | undefined;
  /** Rows of `system.server_logs`, oldest first. */
  readonly serverLogs?: (() => Iterable<ServerLogLine>) | undefined;
  /** The row of `system.cluster`. */
  readonly server?: (() => ServerNode | undefined) | undefined;
  /**
   * Told when a part of the database has ended for good, so that no later write could be kept: the process should end, and the
   * next start makes good what is missing from the log.
   */
  readonly onFailed?: ((error: Error) => void) | undefined;
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
  const { directory, onFailed, logFileBytes } = options;
  return databaseOn(await openStorage({ directory, files, timers, random, onFailed, logFileBytes }), options);
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
  const { clock, random, timers, nodeId } = environment;
  const { directory, files = systemFiles, durability, userSubscriptionsMax, transactionLimits: limits } = options;
  const tiers = await openTiers(storage, environment, options);
  const { hot, sequencer, commitWait, latches, hasher, catalog, storages, cold, reader, lookUps } = tiers;
  const { audit, ...access } = openAccess({ catalog, sequencer, hasher, ...environment }, options);
  const evaluation: EvaluationSources = { clock, random, ids: new SnowflakeSequence({ clock, node: nodeId }) };
  const isCurrent = (table: Table): boolean => catalog.tableById(table.id) === table;
  const live = new Live(liveSources({ ...tiers, evaluation, clock, timers, expirations: cold?.expirations }), { userSubscriptionsMax });
  const spool = storage.directory === undefined ? undefined : new SpoolFolder(files, join(storage.directory.path, SPOOL_NAME));
  const queries = openQueries(sequencer, storage, { ...environment, spool, cold, timeoutMillis: options.statementTimeoutMillis });
  const general = openGeneral(sequencer, storage, { ...options, ...environment, coldTables: cold, spool });
  const transactions = new Transactions({ sequencer, latches, queries, clock, timers, random, isCurrent, limits, cold: lookUps });
  const monitor = new EventLoopMonitor();
  const compiler = new StatementCompiler({ plansMax: PLANS_MAX });
  const backups = openBackups({ storage, catalog, sequencer, storages, ...environment, files });
  const jobs = new Jobs({ catalog, sequencer, hot, cold, ...environment, ...options.jobs, executors: backups.executors });
  const races = { lost: 0, latched: 0 };
  const figures = (): DatabaseFigures => databaseFigures({ sequencer, hot, monitor, live, catalog, jobs, transactions, compiler, races });
  const stopEnding = followCatalog(catalog, { live, rowCache: sequencer.rowCache });
  registerViews(catalog, {
    nodeId,
    ...readingRights(catalog, compiler),
    ...serverViews(options, figures),
    ...openWork({ catalog, live, transactions, cold }),
  });
  const startedAtMillis = await startWork({ jobs, cold, clock });
  const services: SessionServices = {
    catalog,
    compiler,
    races,
    autocommit: new Autocommit({ sequencer, latches, queries, isCurrent, cold: lookUps }),
    cold: reader,
    transactions,
    queries,
    general,
    evaluation,
    timers,
    ...statementOptions(options),
    isHeard: (partition) => live.router.isUsed(partition),
    audit,
    runStatement: ddlRunner(
      {
        catalog,
        users: access.users,
        random,
        jobs: jobs.ledger,
        storages,
        backups,
        cold,
        ...ddlReadings({ sequencer, live, hot, queries, cold }),
      },
      { latches, audit, evaluation, compiler, general },
    ),
  };
  return new Database({
    directory,
    ...access,
    live,
    commitWait,
    cold,
    services,
    secret: secretsOf(directory, files, random),
    status: () => ({ durability, startedAtMillis, nodeId, ...storageStatus(sequencer, storage), ...monitor.figures }),
    figures,
    trouble: () => sequencer.broken?.message,
    close: () => closeAll({ audit, sequencer, monitor, transactions, stopEnding, live, queries, general, jobs, cold, storages, storage }),
  });
}

/** What statements that are not plans read and end. */
function ddlReadings(parts: {
  readonly sequencer: Sequencer;
  readonly live: Live;
  readonly hot: Storage['hot'];
  readonly queries: QueryRunner;
  readonly cold: ColdTier | undefined;
}): Pick<DdlContext, 'commit' | 'settle' | 'someRow' | 'live' | 'tableFigures'> {
  const { sequencer, live } = parts;
  return {
    commit: (turn) => sequencer.submit(turn, { alone: true }),
    settle: () => sequencer.settle(),
    someRow: rowFinder(parts),
    live,
    tableFigures: tableFigures(parts),
  };
}

/** Lets work begin that nobody asks for; answers when that was. */
async function startWork(parts: { readonly jobs: Jobs; readonly cold: ColdTier | undefined; readonly clock: Clock }): Promise<number> {
  await parts.jobs.start();
  parts.cold?.start();
  return parts.clock.now();
}

/** What rows are read from and written to, and what exists. */
async function openTiers(storage: Storage, environment: Environment, options: DatabaseOptions) {
  const { timers, random } = environment;
  const { files = systemFiles, cold: settings } = options;
  const manifests = new Manifests();
  const sequencer = openSequencer({ ...storage, manifests }, environment, options);
  const gaps = await openGaps(sequencer, storage);
  const latches = new LatchTable(timers);
  const hasher = new PasswordHasher(options.passwordCost ?? DEFAULT_PASSWORD_COST, random);
  const catalog = await openCatalog(sequencer, options, hasher);
  const storages = openStorages(catalog, storage, { ...options, ...environment, files });
  const cold = await openCold({ storage, sequencer, catalog, latches, manifests, storages, ...environment, files, settings });
  const [reader, lookUps] = [cold?.reader, cold?.lookUps];
  const commitWait = new CommitWait({ sequencer, gaps, timers });
  return { hot: storage.hot, sequencer, gaps, commitWait, latches, hasher, catalog, storages, cold, reader, lookUps };
}

function openStorages(
  catalog: Catalog,
  { log }: Storage,
  options: Environment & Pick<DatabaseOptions, 'directory' | 'segmentCacheBytesMax'> & { readonly files: FileSystem },
): StorageRegistry {
  const { directory, segmentCacheBytesMax, files, clock, timers, random } = options;
  return new StorageRegistry({ catalog, directory, segmentCacheBytesMax, owner: log.incarnation, files, clock, timers, random });
}

interface OpenParts {
  readonly audit: AuditTrail;
  readonly sequencer: Sequencer;
  readonly monitor: EventLoopMonitor;
  readonly transactions: Transactions;
  readonly live: Live;
  readonly queries: QueryRunner;
  readonly general: GeneralExecutor;
  readonly jobs: Jobs;
  readonly cold: ColdTier | undefined;
  readonly storages: StorageRegistry;
  readonly storage: Storage;
  stopEnding(): void;
}

async function closeAll({ audit, sequencer, monitor, transactions, live, stopEnding, ...parts }: OpenParts): Promise<void> {
  const audited = audit.close();
  sequencer.stop();
  monitor.stop();
  transactions.abortAll(kalamError('SHUTTING_DOWN'));
  stopEnding();
  live.close();
  await audited;
  const { queries, general, jobs, cold, storages, storage } = parts;
  for (const part of [queries, general, jobs, cold, storages, sequencer, storage]) await part?.close();
}

/** What the views of the server show, as far as whoever opened the database says it. */
function serverViews(
  options: DatabaseOptions,
  figures: () => DatabaseFigures,
): Pick<ViewSources, 'settings' | 'metrics' | 'serverLogs' | 'server'> {
  const none = (): readonly never[] => [];
  const { settings = none, metrics = none, serverLogs = none, server = () => undefined } = options;
  return { settings, metrics: () => [...figureMetrics(figures()), ...metrics()], serverLogs, server };
}

/** What views show of the work that is going on. */
function openWork(parts: {
  readonly catalog: Catalog;
  readonly live: Live;
  readonly transactions: Transactions;
  readonly cold: ColdTier | undefined;
}): Pick<ViewSources, 'liveQueries' | 'transactions' | 'manifests'> {
  const { catalog, live, transactions, cold } = parts;
  return {
    liveQueries: () => liveQueryRecords(live.list(), live.sources.commits.watermark),
    transactions: () => transactions.list(),
    manifests: manifestEntries(catalog, cold),
  };
}

function statementOptions({
  requestLimits,
  rowLimits = NO_ROW_LIMITS,
  onStatement,
}: DatabaseOptions): Pick<SessionServices, 'requestLimits' | 'rowLimits' | 'onStatement'> {
  return { requestLimits: { ...REQUEST_LIMITS, ...requestLimits }, rowLimits, onStatement };
}

function ddlRunner(
  context: Pick<
    DdlContext,
    'catalog' | 'users' | 'random' | 'jobs' | 'storages' | 'backups' | 'cold' | 'commit' | 'settle' | 'someRow' | 'live' | 'tableFigures'
  >,
  parts: {
    readonly latches: LatchTable;
    readonly audit: AuditTrail;
    readonly evaluation: EvaluationSources;
    readonly compiler: StatementCompiler;
    readonly general: GeneralExecutor;
  },
): SessionServices['runStatement'] {
  const { latches, audit, general } = parts;
  const { catalog } = context;
  const exclusive: DdlContext['exclusive'] = (work) => latches.exclusive(work);
  const latch: DdlContext['latch'] = (tableIds, work) => latches.hold(tableIds, work);
  return async (statement, caller) => {
    const { principal, namespace, clientAddress } = caller;
    const commit = auditedCommit(context.commit, audit, { statement, caller });
    const evaluation = (): EvalContext => evaluationFor(parts.evaluation, principal, []);
    const columnsOf: ViewBinding['general'] = ({ query: text, namespace: space }) =>
      generalColumns({ catalog, general }, { text, namespace: space, parameters: [], principal, nowMicros: evaluation().nowMicros });
    const bindQuery: DdlContext['bindQuery'] = (query, view) =>
      viewQueryColumns({ compiler: parts.compiler, catalog, general: columnsOf }, { query, namespace, view });
    const result = await runDdl(statement, {
      ...context,
      commit,
      principal,
      namespace,
      clientAddress,
      bindQuery,
      evaluation,
      exclusive,
      latch,
    });
    noteRun(audit, { statement, caller });
    return result;
  };
}

function secretsOf(directory: string | undefined, files: FileSystem, random: Random): Database['secret'] {
  const secrets = new Secrets(directory, files, random);
  return (name, bytes) => secrets.get(name, bytes);
}

interface QueryOptions extends Pick<Environment, 'clock' | 'timers'> {
  readonly spool: SpoolFolder | undefined;
  readonly cold: ColdTables | undefined;
  readonly timeoutMillis: number | undefined;
}

function openQueries(sequencer: Sequencer, storage: Storage, { clock, timers, spool, cold, timeoutMillis }: QueryOptions): QueryRunner {
  const { snapshots, slices } = sequencer;
  const { directory } = storage;
  const queries = new QueryRunner({ snapshots, slices, clock, timers, hotPath: directory?.hotPath, spool, cold, timeoutMillis });
  storage.onReopen(() => queries.letGo());
  return queries;
}

function openGeneral(
  { snapshots, slices }: Sequencer,
  storage: Storage,
  options: Environment & DatabaseOptions & { readonly coldTables: ColdTables | undefined; readonly spool: SpoolFolder | undefined },
): GeneralExecutor {
  const { clock, timers, statementTimeoutMillis: timeoutMillis, generalMemoryBytesMax: memoryBytesMax, coldTables: cold, spool } = options;
  const hotPath = storage.directory?.hotPath;
  const general = new GeneralExecutor({ snapshots, slices, clock, timers, hotPath, cold, spool, timeoutMillis, memoryBytesMax });
  storage.onReopen(() => general.letGo());
  return general;
}

function storageStatus({ watermark }: Sequencer, { hot, log }: Storage): Pick<DatabaseStatus, 'watermark' | 'appliedSeq' | 'incarnation'> {
  return { watermark, appliedSeq: hot.appliedSeq, incarnation: log.incarnation };
}

function openSequencer(
  storage: Storage & { readonly manifests: Manifests },
  environment: Environment,
  options: DatabaseOptions,
): Sequencer {
  const { clock, timers, nodeId, warn } = environment;
  const { log, hot, manifests } = storage;
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
    manifests,
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

function warnProcess(text: string, detail: object): void {
  process.emitWarning(text, { detail: JSON.stringify(detail, (_key, value: unknown) => (value instanceof Error ? value.message : value)) });
}
