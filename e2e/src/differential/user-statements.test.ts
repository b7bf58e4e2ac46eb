import { type Database, openDatabase, type Principal, type Session } from '@kalamdb/engine';
import { initParser } from '@kalamdb/sql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readUserStatements, USER_TABLES, userDifference } from './user-statements.ts';

const ROOT: Principal = { userId: 'root', role: 'system' };

let database: Database;
let session: Session;

beforeAll(async () => {
  await initParser();
  database = await openDatabase({ directory: undefined, durability: 'relaxed', rootPassword: 'user-statements-root' });
  await database.session(ROOT).execute('CREATE NAMESPACE s');
  session = database.session(ROOT, { namespace: 's' });
  for (const sql of USER_TABLES) await session.execute(sql);
});

afterAll(() => database.close());

test.each(readUserStatements().map((statement) => [statement.sql, statement] as const))('%s', async (_, statement) => {
  const what = await userDifference(session, statement);
  if (statement.differs === undefined) expect(what).toBeUndefined();
  else expect(what, 'the answer is PostgreSQL’s: the mark can go').toBeDefined();
});
