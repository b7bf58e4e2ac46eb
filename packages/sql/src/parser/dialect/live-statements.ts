import type { Statement } from '../../statement/ast.ts';
import type { TokenReader } from './token-reader.ts';

const OPTIONS = ['last_rows', 'batch_size', 'from', 'from_seq_id'] as const;

/** `KILL JOB 'id'` */
export function parseKillJob(reader: TokenReader): Statement {
  reader.expectWords('kill job');
  const jobId = reader.nameOrString('the id of a job');
  reader.expectEnd();
  return { kind: 'kill-job', jobId };
}

/** `KILL LIVE QUERY 'user-connection-subscription'` */
export function parseKillLiveQuery(reader: TokenReader): Statement {
  reader.expectWords('kill live query');
  const liveId = parseLiveId(reader);
  reader.expectEnd();
  return { kind: 'kill-live-query', liveId };
}

/** `EXPLAIN LIVE {SELECT … | 'user-connection-subscription' FOR KEY {value | (value, …)}}`; the query is taken as it is written. */
export function parseExplainLive(reader: TokenReader): Statement {
  reader.expectWords('explain live');
  if (reader.peek().kind !== 'string') {
    if (!reader.isWord('select')) throw reader.unexpected('SELECT, or the id of a live query in quotes');
    return { kind: 'explain-live', subject: { kind: 'query', sql: reader.text.slice(reader.position).trim().replace(/;$/, '').trimEnd() } };
  }
  const liveId = parseLiveId(reader);
  reader.expectWords('for key');
  const isList = reader.acceptSymbol('(');
  const key = [keyLiteral(reader)];
  while (isList && reader.acceptSymbol(',')) key.push(keyLiteral(reader));
  if (isList) reader.expectSymbol(')');
  reader.expectEnd();
  return { kind: 'explain-live', subject: { kind: 'row', liveId, key } };
}

function parseLiveId(reader: TokenReader): string {
  const position = reader.position;
  const liveId = reader.nameOrString('the id of a live query');
  if (liveId.split('-').length >= 3) return liveId;
  throw reader.refuse(`Invalid live_query_id format: ${liveId}. Expected: {user_id}-{connection_id}-{subscription_id}`, position);
}

/** A number or a text, as it is written. */
function keyLiteral(reader: TokenReader): string {
  const start = reader.position;
  reader.acceptSymbol('-');
  const { kind, end } = reader.peek();
  if (kind !== 'number' && (kind !== 'string' || reader.position !== start)) throw reader.unexpected('a number, or a text in quotes');
  reader.next();
  return reader.text.slice(start, end);
}

/** `SUBSCRIBE TO {[ns.]t [WHERE …] | SELECT …} [OPTIONS (…)]`; the query is taken as it is written. */
export function parseSubscribeTo(reader: TokenReader): Statement {
  reader.expectWords('subscribe');
  reader.acceptWords('to');
  const isSelect = reader.isWord('select');
  const table = isSelect ? undefined : reader.qualifiedName();
  const start = reader.position;
  if (!isSelect && !reader.atEnd && !reader.isWord('where') && !reader.isWord('options')) throw reader.unexpected('WHERE or OPTIONS');
  while (!reader.atEnd && !isOptions(reader)) reader.next();
  const query = reader.text.slice(start, reader.position).trim().replace(/;$/, '').trimEnd();
  if (reader.acceptWords('options')) parseOptions(reader);
  reader.expectEnd();
  return { kind: 'subscribe-to', table, query };
}

/** Whether what follows is the clause and not a column of that name: it stands before a parenthesis or ends the statement wrongly. */
function isOptions(reader: TokenReader): boolean {
  return reader.isWord('options') && (reader.isSymbol('(', 1) || reader.peek(1).kind === 'word');
}

function parseOptions(reader: TokenReader): void {
  if (!reader.acceptSymbol('(')) throw reader.refuse('OPTIONS clause must be wrapped in parentheses, e.g., OPTIONS (last_rows=10)');
  do {
    const position = reader.position;
    const name = reader.nameOrString('an option').toLowerCase();
    if (!OPTIONS.some((option) => option === name)) {
      throw reader.refuse(`Unknown subscription option: '${name}'. Valid options are: last_rows, batch_size, from`, position);
    }
    if (!reader.acceptSymbol('=')) throw reader.refuse(`Invalid option format: '${name}'. Expected key=value`, position);
    reader.integer('a whole number');
  } while (reader.acceptSymbol(','));
  reader.expectSymbol(')');
}
