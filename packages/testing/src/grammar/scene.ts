/** A table that every statement of the grammar may speak of. */
export interface SceneTable {
  readonly name: string;
  readonly kind: 'user' | 'shared' | 'stream' | 'view';
  /** Name and SQL type of the columns, the key first. */
  readonly columns: readonly (readonly [name: string, type: string])[];
}

const NOTES: SceneTable['columns'] = [
  ['id', 'INT'],
  ['txt', 'TEXT'],
  ['n', 'BIGINT'],
  ['flag', 'BOOLEAN'],
];

/** What there is before the first statement. */
export const SCENE_TABLES: readonly SceneTable[] = [
  { name: 'g.notes', kind: 'user', columns: NOTES },
  { name: 'g.items', kind: 'shared', columns: NOTES },
  { name: 'g.secret', kind: 'shared', columns: NOTES },
  { name: 'g.top', kind: 'shared', columns: NOTES },
  { name: 'g.events', kind: 'stream', columns: NOTES },
  { name: 'g.seen', kind: 'view', columns: NOTES.slice(0, 2) },
  {
    name: 'g.kinds',
    kind: 'shared',
    columns: [
      ['id', 'TEXT'],
      ['a', 'SMALLINT'],
      ['b', 'INT'],
      ['c', 'BIGINT'],
      ['d', 'FLOAT'],
      ['e', 'DOUBLE'],
      ['f', 'DECIMAL(18,4)'],
      ['g', 'BOOLEAN'],
      ['h', 'TEXT'],
      ['i', 'JSON'],
      ['j', 'BYTES'],
      ['k', 'UUID'],
      ['l', 'TIMESTAMP'],
      ['m', 'DATETIME'],
      ['n', 'DATE'],
      ['o', 'TIME'],
      ['p', 'EMBEDDING(3)'],
    ],
  },
];

/** Makes the scene, as an administrator. */
export const SCENE_STATEMENTS: readonly string[] = [
  'CREATE NAMESPACE g',
  'CREATE NAMESPACE h',
  'CREATE USER TABLE g.notes (id INT PRIMARY KEY, txt TEXT, n BIGINT, flag BOOLEAN NOT NULL DEFAULT false)',
  "CREATE SHARED TABLE g.items (id INT PRIMARY KEY, txt TEXT, n BIGINT, flag BOOLEAN NOT NULL) WITH (ACCESS_LEVEL = 'PUBLIC')",
  'CREATE SHARED TABLE g.secret (id INT PRIMARY KEY, txt TEXT NOT NULL, n BIGINT, flag BOOLEAN)',
  "CREATE SHARED TABLE g.top (id INT PRIMARY KEY, txt TEXT, n BIGINT, flag BOOLEAN) WITH (ACCESS_LEVEL = 'DBA')",
  'CREATE STREAM TABLE g.events (id INT, txt TEXT, n BIGINT, flag BOOLEAN) WITH (TTL_SECONDS = 86400)',
  `CREATE SHARED TABLE g.kinds (${SCENE_TABLES.at(-1)
    ?.columns.map(([name, type], index) => `${name} ${type}${index === 0 ? ' PRIMARY KEY' : ''}`)
    .join(', ')})`,
  "INSERT INTO g.items VALUES (1, 'one', 1, true), (2, 'it''s', -2, false), (3, NULL, NULL, true)",
  "INSERT INTO g.secret VALUES (1, 'one', 1, true), (2, 'two', 9223372036854775807, false)",
  "INSERT INTO g.top VALUES (1, 'one', 1, true)",
  "INSERT INTO g.notes VALUES (1, 'mine', 1, true), (2, 'ünïcode ✓', 2, false)",
  "INSERT INTO g.kinds (id, a, b, c, d, e, f, g, h, i) VALUES ('a', 1, 2, 3, 0.5, 0.25, 1.5, true, 'x', '{\"k\":[1,2]}')",
  'DELETE FROM g.items WHERE id = 3',
  'CREATE VIEW g.seen AS SELECT id, txt FROM g.items WHERE flag',
  "CREATE USER 'alice' WITH PASSWORD 'scene-password' ROLE user",
  "CREATE USER 'sam' WITH PASSWORD 'scene-password' ROLE service",
  "CREATE USER 'dora' WITH PASSWORD 'scene-password' ROLE dba",
];

/** Users that statements may name: those of the scene, and those that statements make. */
export const SCENE_USERS: readonly string[] = ['alice', 'sam', 'dora', 'root', 'u1', 'u2', 'u3', 'nobody'];

/** Namespaces that come and go. */
export const SCENE_NAMESPACES: readonly string[] = ['g', 'h', 'n1', 'n2', 'missing'];

/** Tables and views that come and go, without their namespaces. */
export const PASSING_TABLES: readonly string[] = ['t1', 't2', 't3', 'v1', 'v2'];
