import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';

/** DuckDB alone, reading the same files: the floor of what a query over segments costs. Whoever opens one closes it. */
export class PlainDuckDb {
  readonly #connection: DuckDBConnection;

  private constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  /** Opens one in memory with a view `cold` over Parquet files. */
  static async over(paths: readonly string[]): Promise<PlainDuckDb> {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const list = paths.map((path) => `'${path.replaceAll("'", "''")}'`).join(', ');
    await connection.run(`CREATE VIEW cold AS SELECT * FROM read_parquet([${list}])`);
    return new PlainDuckDb(connection);
  }

  /** The number of rows of a query's answer. */
  async rows(sql: string): Promise<number> {
    return (await this.#connection.runAndReadAll(sql)).currentRowCount;
  }

  close(): void {
    this.#connection.closeSync();
  }
}
