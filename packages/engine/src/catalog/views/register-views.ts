import type { Catalog } from '../catalog.ts';
import { columnsView } from './columns-view.ts';
import { datatypesView } from './datatypes-view.ts';
import { emptyViews } from './empty-views.ts';
import { informationSchemaViews, type MayRead } from './information-schema.ts';
import { type LiveQueryRecord, liveView } from './live-view.ts';
import { type Setting, settingsView } from './settings-view.ts';
import { type Metric, statsView } from './stats-view.ts';
import { tablesView } from './tables-view.ts';
import { type TransactionRecord, transactionsView } from './transactions-view.ts';

/** Where computed tables that are not about the catalog get their rows. All are called at each read. */
interface ViewSources {
  readonly nodeId: number;
  readonly mayRead: MayRead;
  settings(): Iterable<Setting>;
  metrics(): Iterable<Metric>;
  liveQueries(): Iterable<LiveQueryRecord>;
  transactions(): Iterable<TransactionRecord>;
}

/** Makes every computed table known to the catalog. */
export function registerViews(catalog: Catalog, sources: ViewSources): void {
  const providers = [
    tablesView(catalog),
    columnsView(catalog),
    datatypesView(),
    ...informationSchemaViews(catalog, sources.mayRead),
    settingsView(() => sources.settings()),
    statsView(catalog, () => sources.metrics()),
    liveView(sources.nodeId, () => sources.liveQueries()),
    transactionsView(() => sources.transactions()),
    ...emptyViews(),
  ];
  for (const provider of providers) catalog.register(provider);
}
