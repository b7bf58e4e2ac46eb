import type { Row } from '@kalamdb/protocol';
import type { CatalogView, InputRow } from '@kalamdb/sql';
import type { ChangeSet, Principal, RowVersion } from '../contract.ts';
import { INTERNAL_SYSTEM_TABLES, NAMED_SYSTEM_TABLES } from './persisted-tables.ts';
import { API_TOKENS, type ApiTokenRecord, apiTokenRepository } from './system-tables/api-tokens.ts';
import { DROPPED_TABLES, type DroppedTableRecord, droppedTableRepository } from './system-tables/dropped-tables.ts';
import { NAMESPACES, type NamespaceRecord, namespaceRepository } from './system-tables/namespaces.ts';
import { SCHEMAS, schemaRowName } from './system-tables/schemas.ts';
import { STORAGES, type StorageRecord, storageRepository } from './system-tables/storages.ts';
import { providerIdentity, USERS, type UserRecord, userRepository } from './system-tables/users.ts';
import { VIEWS, type View, viewIdText, viewOf, viewRepository } from './system-tables/views.ts';
import type { Table } from './table.ts';
import { TableEntry } from './table-entry.ts';
import type { TableRecord } from './table-record.ts';

/** Texts that columns must equal, by the names of the columns. */
export type DemandedTexts = ReadonlyMap<string, string>;

/** A computed table: its rows are made when they are read. */
export interface ScanProvider {
  readonly table: Table;
  /** The rows as `principal` may see them, in a stable order; those without the demanded texts may be left out. */
  rows(principal: Principal, demanded?: DemandedTexts): Iterable<InputRow>;
}

/** What a commit changed in the catalog. */
export type CatalogChange =
  | { readonly kind: 'table-created'; readonly table: Table }
  | { readonly kind: 'table-changed'; readonly before: Table; readonly table: Table }
  | { readonly kind: 'table-dropped'; readonly table: Table }
  | { readonly kind: 'user-changed'; readonly before: UserRecord | undefined; readonly user: UserRecord };

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The tables whose rows the catalog keeps in memory. */
const FOLDED_TABLES: readonly Table[] = [NAMESPACES, SCHEMAS, USERS, STORAGES, DROPPED_TABLES, API_TOKENS, VIEWS];
const FOLDED_TABLE_IDS: ReadonlySet<number> = new Set(FOLDED_TABLES.map(({ id }) => id));

/**
 * What exists, in memory: a fold over the rows of the system tables, loaded once from a snapshot and from then on moved by
 * every commit. It stands at the watermark; DDL turns look at the writer's pending rows beside it. Look-ups are by
 * lower-case name and cost a few map accesses however many tables there are.
 */
export class Catalog implements CatalogView {
  readonly #namespaces = new Map<string, NamespaceRecord>();
  /** Tables that users made: namespace, then name. */
  readonly #entries = new Map<string, Map<string, TableEntry>>();
  readonly #entriesById = new Map<number, TableEntry>();
  readonly #systemTables = new Map<string, Map<string, Table>>();
  readonly #systemTablesById = new Map<number, Table>();
  readonly #providers = new Map<number, ScanProvider>();
  readonly #users = new Map<string, UserRecord>();
  /** Whose user id a provider's subject has. */
  readonly #subjects = new Map<string, string>();
  readonly #apiTokens = new Map<string, ApiTokenRecord>();
  /** The token in each slot: a row that is written over ends the token before. */
  readonly #apiTokenSlots = new Map<string, string>();
  /** By id text. */
  readonly #views = new Map<string, View>();
  readonly #viewsById = new Map<number, View>();
  readonly #storages = new Map<string, StorageRecord>();
  readonly #dropped = new Map<number, DroppedTableRecord>();
  readonly #listeners = new Set<(change: CatalogChange) => void>();
  #sortedNamespaces: readonly NamespaceRecord[] | undefined;
  #sortedEntries: readonly TableEntry[] | undefined;
  readonly #sortedByNamespace = new Map<string, readonly TableEntry[]>();

  constructor() {
    for (const table of NAMED_SYSTEM_TABLES) this.#addSystemTable(table);
    for (const table of INTERNAL_SYSTEM_TABLES) this.#systemTablesById.set(table.id, table);
  }

  /** Makes a computed table known. Called while the database is being wired, before the first statement. */
  register(provider: ScanProvider): void {
    this.#addSystemTable(provider.table);
    this.#providers.set(provider.table.id, provider);
  }

  /** Reads the whole catalog at open. `scan` gives the rows of a system table, tombstones included, at one watermark. */
  load(scan: (table: Table) => Iterable<RowVersion>): void {
    for (const table of FOLDED_TABLES) {
      for (const row of scan(table)) this.#apply(table.id, row);
    }
  }

  /** Takes in a commit. Called once per commit, in commit order, before the commit's reply. */
  observe(change: ChangeSet): void {
    const parts = change.parts.filter(({ partition }) => FOLDED_TABLE_IDS.has(partition.tableId));
    if (parts.length === 0) return;
    const tablesBefore = new Map<number, Table | undefined>();
    const usersBefore = new Map<string, UserRecord | undefined>();
    for (const { partition, rows } of parts) {
      for (const row of rows) {
        if (partition.tableId === SCHEMAS.id) this.#noteTable(row, tablesBefore);
        if (partition.tableId === USERS.id) this.#noteUser(row, usersBefore);
        this.#apply(partition.tableId, row);
      }
    }
    if (this.#listeners.size === 0) return;
    for (const [id, before] of tablesBefore) this.#announceTable(before, this.#entriesById.get(id)?.table());
    for (const [userId, before] of usersBefore) {
      const user = this.#users.get(userId);
      if (user !== undefined) this.#announce({ kind: 'user-changed', before, user });
    }
  }

  /** Calls `listener` after each commit that changed something it is told of; returns what ends that. */
  onChange(listener: (change: CatalogChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether a name may stand before the dot; true for `system` and `information_schema` too. */
  hasNamespace(namespace: string): boolean {
    return this.#namespaces.has(namespace) || this.#systemTables.has(namespace);
  }

  /** A namespace that users made (or that was made at first start). */
  namespace(namespace: string): NamespaceRecord | undefined {
    return this.#namespaces.get(namespace);
  }

  /** By name. */
  namespaces(): readonly NamespaceRecord[] {
    this.#sortedNamespaces ??= [...this.#namespaces.values()].sort((a, b) => byCodeUnit(a.namespaceId, b.namespaceId));
    return this.#sortedNamespaces;
  }

  table(namespace: string, name: string): Table | undefined {
    return this.#entries.get(namespace)?.get(name)?.table() ?? this.#systemTables.get(namespace)?.get(name);
  }

  /** What statements may name: tables and views. */
  readonly relations: CatalogView = {
    hasNamespace: (namespace) => this.hasNamespace(namespace),
    table: (namespace, name) => this.table(namespace, name) ?? this.view(namespace, name)?.info,
  };

  view(namespace: string, name: string): View | undefined {
    return this.#views.get(viewIdText(namespace, name));
  }

  viewById(id: number): View | undefined {
    return this.#viewsById.get(id);
  }

  /** By namespace and name. */
  views(namespace?: string, name?: string): readonly View[] {
    const all = [...this.#views.values()].filter(
      ({ record }) => (namespace === undefined || record.namespace === namespace) && (name === undefined || record.name === name),
    );
    return all.sort((a, b) => byCodeUnit(a.record.namespace, b.record.namespace) || byCodeUnit(a.record.name, b.record.name));
  }

  /** System tables included; `undefined` for dropped ones. */
  tableById(id: number): Table | undefined {
    return this.#entriesById.get(id)?.table() ?? this.#systemTablesById.get(id);
  }

  /** Newest versions of the tables that users made, by namespace and name. */
  *tables(namespace?: string, name?: string): IterableIterator<Table> {
    for (const entry of this.#entriesOf(namespace, name)) {
      const table = entry.table();
      if (table !== undefined) yield table;
    }
  }

  /** Every version of the tables that users made as rows of `system.schemas`, by namespace, name and version. */
  *tableVersions(namespace?: string): IterableIterator<Row> {
    for (const entry of this.#entriesOf(namespace, undefined)) yield* entry.rows();
  }

  /** The versions of one table, oldest first; empty for system tables. */
  versionsOf(namespace: string, name: string): readonly TableRecord[] {
    return this.#entries.get(namespace)?.get(name)?.records() ?? [];
  }

  /** Stored and computed tables of `system` and `information_schema`. */
  *systemTables(namespace?: string, name?: string): IterableIterator<Table> {
    for (const [own, tables] of this.#systemTables) {
      if (namespace !== undefined && own !== namespace) continue;
      for (const table of tables.values()) if (name === undefined || table.name === name) yield table;
    }
  }

  /**
   * Rows of `system.schemas` with the demanded texts, in the order of its key: they are in memory, while those that are stored
   * would all have to be decoded. `undefined` when the texts name no table and no namespace.
   */
  heldRows(table: Table, demanded: DemandedTexts): readonly InputRow[] | undefined {
    const [idNamespace, idName] = demanded.get('table_id')?.split(':', 2) ?? [];
    const namespace = demanded.get('namespace_id') ?? idNamespace;
    const name = demanded.get('table_name') ?? idName;
    if (table.id !== SCHEMAS.id || (namespace === undefined && name === undefined)) return undefined;
    const idText = (entry: TableEntry): string => `${entry.namespace}:${entry.name}`;
    const entries = [...this.#entriesOf(namespace, name)].sort((a, b) => byCodeUnit(idText(a), idText(b)));
    return entries.flatMap((entry) => entry.rows().map((cells) => ({ cells, seq: 0n, deleted: false })));
  }

  /** What computes the rows of a table; `undefined` for stored tables. */
  provider(tableId: number): ScanProvider | undefined {
    return this.#providers.get(tableId);
  }

  /** A user; dropped ones too, with `deletedAtMicros`. */
  user(userId: string): UserRecord | undefined {
    return this.#users.get(userId);
  }

  users(): IterableIterator<UserRecord> {
    return this.#users.values();
  }

  /** The user whom a provider knows as `subject`; a dropped one only when there is no other. */
  providerUser(provider: string, subject: string): UserRecord | undefined {
    const userId = this.#subjects.get(subjectKey(provider, subject));
    return userId === undefined ? undefined : this.#users.get(userId);
  }

  /** A token that is not revoked. */
  apiToken(tokenId: string): ApiTokenRecord | undefined {
    return this.#apiTokens.get(tokenId);
  }

  apiTokens(): IterableIterator<ApiTokenRecord> {
    return this.#apiTokens.values();
  }

  storage(storageId: string): StorageRecord | undefined {
    return this.#storages.get(storageId);
  }

  storages(): IterableIterator<StorageRecord> {
    return this.#storages.values();
  }

  /** Tables whose rows are still to be purged. */
  droppedTables(): readonly DroppedTableRecord[] {
    return [...this.#dropped.values()];
  }

  /** How much there is, for statistics. */
  counts(): { readonly namespaces: number; readonly tables: number; readonly users: number; readonly storages: number } {
    return {
      namespaces: this.#namespaces.size,
      tables: this.#entriesById.size,
      users: this.#users.size,
      storages: this.#storages.size,
    };
  }

  #entriesOf(namespace: string | undefined, name: string | undefined): readonly TableEntry[] {
    if (namespace !== undefined) {
      const entries = this.#entries.get(namespace);
      const named = name === undefined ? undefined : entries?.get(name);
      if (name !== undefined) return named === undefined ? [] : [named];
      let sorted = this.#sortedByNamespace.get(namespace);
      if (sorted === undefined) {
        sorted = [...(entries?.values() ?? [])].sort((a, b) => byCodeUnit(a.name, b.name));
        if (sorted.length > 0) this.#sortedByNamespace.set(namespace, sorted);
      }
      return sorted;
    }
    if (name !== undefined) return this.#entriesOf(undefined, undefined).filter((entry) => entry.name === name);
    this.#sortedEntries ??= [...this.#entriesById.values()].sort(
      (a, b) => byCodeUnit(a.namespace, b.namespace) || byCodeUnit(a.name, b.name),
    );
    return this.#sortedEntries;
  }

  #addSystemTable(table: Table): void {
    let tables = this.#systemTables.get(table.namespace);
    if (tables === undefined) {
      tables = new Map();
      this.#systemTables.set(table.namespace, tables);
    }
    tables.set(table.name, table);
    this.#systemTablesById.set(table.id, table);
  }

  #apply(tableId: number, row: RowVersion): void {
    switch (tableId) {
      case NAMESPACES.id:
        this.#sortedNamespaces = undefined;
        fold(this.#namespaces, namespaceRepository.read(row), { key: (record) => record.namespaceId, deleted: row.deleted });
        break;
      case SCHEMAS.id:
        this.#applySchema(row);
        break;
      case USERS.id:
        this.#applyUser(userRepository.read(row), row.deleted);
        break;
      case API_TOKENS.id:
        this.#applyApiToken(apiTokenRepository.read(row), row.deleted);
        break;
      case STORAGES.id:
        fold(this.#storages, storageRepository.read(row), { key: (record) => record.storageId, deleted: row.deleted });
        break;
      case VIEWS.id:
        this.#applyView(viewOf(viewRepository.read(row)), row.deleted);
        break;
      case DROPPED_TABLES.id:
        fold(this.#dropped, droppedTableRepository.read(row), { key: (record) => record.tableId, deleted: row.deleted });
        break;
      default:
        break;
    }
  }

  #applyUser(user: UserRecord, deleted: boolean): void {
    fold(this.#users, user, { key: (record) => record.userId, deleted });
    const identity = providerIdentity(user);
    if (identity === undefined) return;
    const name = subjectKey(identity.provider, identity.subject);
    const other = this.#users.get(this.#subjects.get(name) ?? '');
    if (other === undefined || other.deletedAtMicros !== undefined) this.#subjects.set(name, user.userId);
  }

  #applyView(view: View, deleted: boolean): void {
    const { namespace, name, tableId } = view.record;
    fold(this.#views, view, { key: () => viewIdText(namespace, name), deleted });
    fold(this.#viewsById, view, { key: () => tableId, deleted });
  }

  #applyApiToken(token: ApiTokenRecord, deleted: boolean): void {
    const slot = `${token.slot}\n${token.userId}`;
    this.#apiTokens.delete(this.#apiTokenSlots.get(slot) ?? '');
    this.#apiTokenSlots.delete(slot);
    if (deleted) return;
    this.#apiTokenSlots.set(slot, token.tokenId);
    this.#apiTokens.set(token.tokenId, token);
  }

  #applySchema(row: RowVersion): void {
    const named = schemaRowName(row.cells);
    let entry = this.#entriesById.get(named.tableId);
    if (row.deleted) {
      entry?.remove(named.version);
      if (entry?.isEmpty === true) this.#removeEntry(entry);
      return;
    }
    if (entry === undefined) {
      entry = new TableEntry(named);
      this.#addEntry(entry);
    }
    entry.put(named.version, row.cells, row.seq);
  }

  #addEntry(entry: TableEntry): void {
    let entries = this.#entries.get(entry.namespace);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(entry.namespace, entries);
    }
    entries.set(entry.name, entry);
    this.#entriesById.set(entry.tableId, entry);
    this.#unsort(entry);
  }

  #unsort({ namespace }: TableEntry): void {
    this.#sortedEntries = undefined;
    this.#sortedByNamespace.delete(namespace);
  }

  #removeEntry(entry: TableEntry): void {
    this.#entriesById.delete(entry.tableId);
    this.#unsort(entry);
    const entries = this.#entries.get(entry.namespace);
    if (entries?.get(entry.name) !== entry) return;
    entries.delete(entry.name);
    if (entries.size === 0) this.#entries.delete(entry.namespace);
  }

  #noteTable(row: RowVersion, before: Map<number, Table | undefined>): void {
    const { tableId } = schemaRowName(row.cells);
    if (!before.has(tableId)) before.set(tableId, this.#entriesById.get(tableId)?.table());
  }

  #noteUser(row: RowVersion, before: Map<string, UserRecord | undefined>): void {
    const { userId } = userRepository.read(row);
    if (!before.has(userId)) before.set(userId, this.#users.get(userId));
  }

  #announceTable(before: Table | undefined, table: Table | undefined): void {
    if (table === undefined) {
      if (before !== undefined) this.#announce({ kind: 'table-dropped', table: before });
    } else if (before === undefined) this.#announce({ kind: 'table-created', table });
    else this.#announce({ kind: 'table-changed', before, table });
  }

  #announce(change: CatalogChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function subjectKey(provider: string, subject: string): string {
  return `${provider}\n${subject}`;
}

function fold<K, R>(records: Map<K, R>, record: R, { key, deleted }: { key: (record: R) => K; deleted: boolean }): void {
  if (deleted) records.delete(key(record));
  else records.set(key(record), record);
}
