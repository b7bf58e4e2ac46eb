import type { Principal } from '../../contract.ts';
import type { Catalog, DemandedTexts } from '../catalog.ts';
import { clusterViews, type ServerNode } from './cluster-views.ts';
import { columnsView } from './columns-view.ts';
import { datatypesView } from './datatypes-view.ts';
import { emptyViews } from './empty-views.ts';
import { informationSchemaViews, type ReadingRights } from './information-schema.ts';
import { type LiveQueryRecord, liveStateView, liveView } from './live-view.ts';
import { type ManifestEntry, manifestView } from './manifest-view.ts';
import { type ServerLogLine, serverLogsView } from './server-logs-view.ts';
import { type Setting, settingsView } from './settings-view.ts';
import { type Metric, statsView } from './stats-view.ts';
import { tablesView } from './tables-view.ts';
import { type TransactionRecord, transactionsView } from './transactions-view.ts';

/** Where computed tables that are not about the catalog get their rows. All are called at each read. */
export interface ViewSources extends ReadingRights {
  readonly nodeId: number;
  settings(): Iterable<Setting>;
  metrics(): Iterable<Metric>;
  serverLogs(): Iterable<ServerLogLine>;
  /** `undefined`: the database is used without a server. */
  server(): ServerNode | undefined;
  liveQueries(): Iterable<LiveQueryRecord>;
  transactions(): Iterable<TransactionRecord>;
  /** The partitions that a principal may read. */
  manifests(principal: Principal, demanded: DemandedTexts | undefined): Iterable<ManifestEntry>;
}

/** Makes every computed table known to the catalog. */
export function registerViews(catalog: Catalog, sources: ViewSources): void {
  const providers = [
    tablesView(catalog),
    columnsView(catalog),
    datatypesView(),
    ...informationSchemaViews(catalog, sources),
    settingsView(() => sources.settings()),
    statsView(catalog, () => sources.metrics()),
    serverLogsView(() => sources.serverLogs()),
    liveView(sources.nodeId, () => sources.liveQueries()),
    liveStateView(() => sources.liveQueries()),
    transactionsView(() => sources.transactions()),
    ...clusterViews(sources.nodeId, () => sources.server()),
    manifestView((principal, demanded) => sources.manifests(principal, demanded)),
    ...emptyViews(),
  ];
  for (const provider of providers) catalog.register(provider);
}
