import type { Catalog } from '../catalog/catalog.ts';
import type { Live } from '../live/live.ts';
import type { RowCache } from '../partition/row-cache.ts';

/**
 * Ends the live queries of dropped tables and of users that were dropped or got another role, and forgets decoded rows of
 * tables that are gone or read differently now; returns what ends that.
 */
export function followCatalog(catalog: Catalog, { live, rowCache }: { readonly live: Live; readonly rowCache: RowCache }): () => void {
  return catalog.onChange((change) => {
    switch (change.kind) {
      case 'table-dropped':
        rowCache.forgetTable(change.table.id);
        live.endForTable(change.table.id, `table ${change.table.namespace}.${change.table.name} was dropped`);
        break;
      case 'table-changed':
        rowCache.layOut(change.table.id, change.table.sinceSeq);
        live.rebindTable(change.table.id);
        break;
      case 'user-changed': {
        const { before, user } = change;
        if (before === undefined) break;
        if (user.deletedAtMicros !== undefined) live.endForUser(user.userId, 'the user was dropped');
        else if (before.role !== user.role) live.endForUser(user.userId, 'the role of the user was changed');
        break;
      }
      case 'table-created':
        break;
      default:
        change satisfies never;
    }
  });
}
