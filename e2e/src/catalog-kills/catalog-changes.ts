/** A change of the catalog; `given` is run before it, without kills. */
export interface CatalogChange {
  readonly sql: string;
  readonly given?: readonly string[];
}

const alter = (operation: string): CatalogChange => ({ sql: `ALTER TABLE k.s ${operation}` });

/** One after another they make, alter and drop everything that the catalog can hold. */
export const CATALOG_CHANGES: readonly CatalogChange[] = [
  { sql: 'CREATE NAMESPACE k' },
  { sql: "ALTER NAMESPACE k SET OPTIONS (a = 'b', c = 1)" },
  { sql: 'CREATE SHARED TABLE k.s (id INT PRIMARY KEY, txt TEXT NOT NULL, n INT, p EMBEDDING(3))' },
  { sql: 'CREATE USER TABLE k.u (id INT PRIMARY KEY, txt TEXT)' },
  { sql: 'CREATE STREAM TABLE k.e (id INT, txt TEXT) WITH (TTL_SECONDS = 86400)' },
  {
    given: [
      "INSERT INTO k.s (id, txt, n) VALUES (1, 'a', 1), (2, 'b', 2)",
      "INSERT INTO k.u VALUES (1, 'mine')",
      'DELETE FROM k.s WHERE id = 2',
    ],
    ...alter("ADD COLUMN x TEXT DEFAULT 'new'"),
  },
  alter('ADD COLUMN y INT'),
  { given: ["INSERT INTO k.s (id, txt, y) VALUES (3, 'c', 3)"], ...alter('DROP COLUMN y') },
  alter('MODIFY COLUMN n BIGINT'),
  alter('ALTER COLUMN txt DROP NOT NULL'),
  alter('ALTER COLUMN txt SET NOT NULL'),
  alter("ALTER COLUMN x SET DEFAULT 'newer'"),
  alter('ALTER COLUMN x DROP DEFAULT'),
  alter('RENAME COLUMN x TO z'),
  alter('SET ACCESS LEVEL public'),
  alter("SET TBLPROPERTIES (ACCESS_LEVEL = 'dba')"),
  alter('CREATE INDEX p USING COSINE'),
  alter('DROP INDEX p'),
  { sql: 'CREATE VIEW k.v AS SELECT id, txt FROM k.s' },
  { sql: 'CREATE OR REPLACE VIEW k.v AS SELECT id, n FROM k.s WHERE n > 0' },
  { sql: 'DROP VIEW k.v' },
  { sql: "CREATE USER 'kim' WITH PASSWORD 'kim-password' ROLE user EMAIL 'k@example.org'" },
  { sql: "ALTER USER 'kim' SET ROLE service" },
  { sql: "ALTER USER 'kim' SET PASSWORD 'another-password'" },
  { sql: "ALTER USER 'kim' SET EMAIL 'kim@example.org'" },
  { given: ["EXECUTE AS USER 'kim' (INSERT INTO k.u VALUES (1, 'kim'))"], sql: "DROP USER 'kim'" },
  { sql: 'DROP TABLE k.s' },
  {
    given: ['CREATE SHARED TABLE k.s (id INT PRIMARY KEY)', 'INSERT INTO k.s VALUES (1)', 'CREATE VIEW k.v AS SELECT id FROM k.s'],
    sql: 'DROP NAMESPACE k CASCADE',
  },
];
