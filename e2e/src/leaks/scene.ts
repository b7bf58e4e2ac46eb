import type { Planted, Receiver } from './access-model.ts';
import type { Markers } from './markers.ts';

/** A table in which values are planted. */
export interface LeakTable {
  readonly name: string;
  readonly kind: 'user' | 'stream' | 'shared stream' | 'shared';
  readonly level?: 'public' | 'private' | 'restricted' | 'dba';
}

/** The tables of the scene. */
export const LEAK_TABLES: readonly LeakTable[] = [
  { name: 'leak.u', kind: 'user' },
  { name: 'leak.pub', kind: 'shared', level: 'public' },
  { name: 'leak.prv', kind: 'shared', level: 'private' },
  { name: 'leak.res', kind: 'shared', level: 'restricted' },
  { name: 'leak.adm', kind: 'shared', level: 'dba' },
  { name: 'leak.e', kind: 'stream' },
  { name: 'leak.es', kind: 'shared stream' },
];

/** Views, with the table that each reads. */
export const LEAK_VIEWS: readonly string[] = LEAK_TABLES.filter(({ kind }) => kind !== 'stream' && kind !== 'shared stream').map(
  ({ name }) => `${name}_view`,
);

/** Columns in which texts are planted; `n` takes numbers. */
export const TEXT_COLUMNS = ['txt', 'doc', 'credentials'] as const;

/** Makes the scene, as root. Defaults and options hold values too. */
export function sceneStatements(markers: Markers): readonly string[] {
  const definition = (level?: LeakTable['level']): string =>
    markers.text({ place: level === 'public' ? { kind: 'definition', level } : { kind: 'definition' }, sender: 'root' });
  const administration = (): string => markers.text({ place: { kind: 'administration' }, sender: 'root' });
  const columns = (level?: LeakTable['level']): string =>
    `id INT PRIMARY KEY, txt TEXT NOT NULL DEFAULT '${definition(level)}', n BIGINT, doc JSON, credentials TEXT`;
  const tables = LEAK_TABLES.map(({ name, kind, level }) => {
    const options =
      kind === 'shared' ? `ACCESS_LEVEL = '${level}'` : `TTL_SECONDS = 86400${kind === 'shared stream' ? ", SCOPE = 'SHARED'" : ''}`;
    const word = kind === 'shared stream' ? 'STREAM' : kind.toUpperCase();
    return `CREATE ${word} TABLE ${name} (${columns(level)})${kind === 'user' ? '' : ` WITH (${options})`}`;
  });
  const views = LEAK_VIEWS.map(
    (view) =>
      `CREATE VIEW ${view} AS SELECT id, txt, n, credentials AS c FROM ${view.replace('_view', '')} WHERE txt <> '${administration()}'`,
  );
  return ['CREATE NAMESPACE leak', `ALTER NAMESPACE leak SET OPTIONS (owner = '${definition()}')`, ...tables, ...views];
}

/** Where a value lies that a principal writes into a column of a table; `owner` differs from the writer under EXECUTE AS USER. */
export function placeOf(table: LeakTable, column: string, owner: Receiver): Planted['place'] {
  const { name, kind, level = 'private' } = table;
  switch (kind) {
    case 'shared':
      return { kind, table: name, column, level };
    case 'shared stream':
      return { kind, table: name, column };
    default:
      return { kind: 'owned', table: name, column, owner };
  }
}
