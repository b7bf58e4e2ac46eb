import { KalamError } from '@kalamdb/protocol';
import { emptyManifest } from '@kalamdb/storage';
import { grantFor, isAdmin } from '../access/grant.ts';
import type { Catalog, DemandedTexts } from '../catalog/catalog.ts';
import type { Table } from '../catalog/table.ts';
import type { ManifestEntry } from '../catalog/views/manifest-view.ts';
import type { ColdTier } from '../cold/cold-tier.ts';
import { manifestText } from '../cold/manifest-file.ts';
import type { Principal } from '../contract.ts';

/** Cuts the rows of `system.manifest` for a principal: of USER tables its own partition, unless it is an admin. */
export function manifestEntries(
  catalog: Catalog,
  cold: ColdTier | undefined,
): (principal: Principal, demanded: DemandedTexts | undefined) => Iterable<ManifestEntry> {
  return function* entries(principal, demanded) {
    if (cold === undefined) return;
    for (const table of catalog.tables(demanded?.get('namespace_id'), demanded?.get('table_name'))) {
      if (table.kind === 'stream' || !mayRead(principal, table)) continue;
      const pending = new Set(cold.pendingOwners(table));
      const owners = new Set([...cold.manifests.owners(table.id), ...pending]);
      for (const owner of [...owners].sort()) {
        if (table.kind === 'user' && owner !== principal.userId && !isAdmin(principal.role)) continue;
        const entry = entryOf(cold, table, { owner, isPending: pending.has(owner) });
        if (entry !== undefined) yield entry;
      }
    }
  };
}

function mayRead(principal: Principal, table: Table): boolean {
  if (isAdmin(principal.role)) return true;
  try {
    // Statistics show what cells hold.
    return grantFor(principal, table, 'select').maskedCells.length === 0;
  } catch (error) {
    if (error instanceof KalamError) return false;
    throw error;
  }
}

function entryOf(cold: ColdTier, table: Table, scope: { readonly owner: string; readonly isPending: boolean }): ManifestEntry | undefined {
  const { owner, isPending } = scope;
  const partition = table.partitionFor(owner);
  const { record, manifest } = cold.flusher.read(partition);
  if (manifest === undefined && !isPending) return undefined;
  const shown = record ?? { owner, createdAtMicros: table.createdAtMicros, updatedAtMicros: table.createdAtMicros };
  return {
    namespace: table.namespace,
    table: table.name,
    scope: table.kind === 'user' ? owner : 'shared',
    version: manifest?.version,
    updatedAtMicros: shown.updatedAtMicros,
    state: cold.flusher.isBusy(partition) ? 'syncing' : isPending ? 'pending_write' : 'in_sync',
    text: manifestText({ table, record: shown, manifest: manifest ?? emptyManifest }),
  };
}
