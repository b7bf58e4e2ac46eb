import { PostgresServer } from './postgres-server.ts';
import { judgeTables, readUserStatements, writeUserStatements } from './user-statements.ts';

/** Asks the PostgreSQL server of this machine for the answers to the statements of users and stores them. `binaries`: folder of its programs. */
export function recordUserStatements(binaries: string): number {
  const statements = readUserStatements();
  const postgres = PostgresServer.start(binaries);
  try {
    postgres.run(judgeTables());
    const judged = postgres.run(statements.map(({ sql }) => sql));
    writeUserStatements(statements.map((statement, index) => ({ ...statement, judge: judged[index] })));
  } finally {
    postgres.stop();
  }
  return statements.length;
}
