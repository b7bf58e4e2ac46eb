import { jsonString, KalamError, kalamError, plainType } from '@kalamdb/protocol';
import { checkSubscriptionShape, type Statement } from '@kalamdb/sql';
import type { ResultColumn, StatementResult } from '../contract.ts';
import { type DdlContext, messageResult, requireRole, requireUser } from './ddl-context.ts';

const ID_BYTES = 16;

/** `KILL LIVE QUERY 'id'`: its client is told; a live query that has ended already is no error. */
export async function killLiveQuery(
  statement: Extract<Statement, { kind: 'kill-live-query' }>,
  context: DdlContext,
): Promise<StatementResult> {
  requireRole(context, 'dba', 'KILL LIVE QUERY requires DBA or System role');
  context.live.kill(statement.liveId);
  return messageResult(context, `Live query killed: ${statement.liveId}`);
}

const column = (name: string, type: 'text' | 'json'): ResultColumn => ({ name, type: plainType(type), flags: [] });

const COLUMNS: readonly ResultColumn[] = [
  column('status', 'text'),
  column('ws_url', 'text'),
  { ...column('subscription', 'json'), isRawJson: true },
  column('message', 'text'),
];

/** What clients of the original read; the address is a constant there too. */
const WS_URL = 'ws://localhost:8080/ws';
const MESSAGE = 'WebSocket subscription created. Connect to ws_url to receive updates.';

/** `SUBSCRIBE TO …` (sql-dialect B23): opens nothing, but says what to subscribe to over a WebSocket. */
export async function subscribeTo(statement: Extract<Statement, { kind: 'subscribe-to' }>, context: DdlContext): Promise<StatementResult> {
  requireUser(context, 'SUBSCRIBE TO');
  const sql = subscriptionText(statement, context);
  const id = `sub-${subscribedTable(sql)}-${Buffer.from(context.random.bytes(ID_BYTES)).toString('hex')}`;
  const subscription = `{"id":${jsonString(id)},"sql":${jsonString(sql)}}`;
  return { kind: 'rows', columns: COLUMNS, rows: [['active', WS_URL, subscription, MESSAGE]], asUser: context.principal.userId };
}

function subscriptionText({ table, query }: Extract<Statement, { kind: 'subscribe-to' }>, { namespace }: DdlContext): string {
  if (table === undefined) return query;
  // The namespace of a session may be a word of SQL, as `default` is.
  return `SELECT * FROM ${table.namespace ?? `"${namespace}"`}.${table.name}${query === '' ? '' : ` ${query}`}`;
}

/** The table of the query as ids name it, `ns-t`. Throws SUBSCRIBE_TO_INVALID. */
function subscribedTable(sql: string): string {
  try {
    const { namespace, name } = checkSubscriptionShape(sql);
    return namespace === undefined ? name : `${namespace}-${name}`;
  } catch (error) {
    if (!(error instanceof KalamError)) throw error;
    throw kalamError('SUBSCRIBE_TO_INVALID', { reason: error.message }, { cause: error });
  }
}
