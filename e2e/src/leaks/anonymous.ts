import { openDatabase, type Principal, StatementError } from '@kalamdb/engine';
import { KalamError, wireMessage } from '@kalamdb/protocol';
import type { SeededRandom } from '@kalamdb/testing';
import type { Receiver } from './access-model.ts';
import type { Markers } from './markers.ts';
import { sceneStatements } from './scene.ts';
import { nextLeakStatement } from './statements.ts';

const ANONYMOUS: Receiver = { name: 'anonymous', role: 'anonymous' };
const ANONYMOUS_PRINCIPAL: Principal = { userId: 'anonymous', role: 'anonymous' };

/** The principals who fill the tables. */
const WRITERS: readonly (Receiver & Pick<Principal, 'role'>)[] = [
  { name: 'q0', role: 'user' },
  { name: 'q1', role: 'service' },
  { name: 'q2', role: 'dba' },
];

/** No road of the server leads to the role `anonymous`, so that it is played inside the process: what it would be answered is looked through. */
export async function playAnonymous(random: SeededRandom, markers: Markers, statements: number): Promise<void> {
  const database = await openDatabase({ directory: undefined, durability: 'relaxed' });
  const told = async (principal: Principal, sql: string): Promise<string> => {
    try {
      const results = await database.session(principal).execute(sql);
      return JSON.stringify(results, (_, cell: unknown) => (typeof cell === 'bigint' ? String(cell) : cell));
    } catch (error) {
      const cause = error instanceof StatementError ? error.failure.error : error;
      return cause instanceof KalamError ? wireMessage(cause, { admin: false }) : String(cause);
    }
  };
  try {
    for (const sql of sceneStatements(markers)) await told({ userId: 'root', role: 'system' }, sql);
    for (let index = 0; index < statements; index++) {
      const sender = random.integer(2) === 0 ? ANONYMOUS : random.pick(WRITERS);
      const sql = nextLeakStatement(random, { sender, others: WRITERS, markers });
      if (sender === ANONYMOUS) markers.scan(ANONYMOUS, 'anonymous', await told(ANONYMOUS_PRINCIPAL, sql));
      else await told({ userId: sender.name, role: sender.role as Principal['role'] }, sql);
    }
  } finally {
    await database.close();
  }
}
