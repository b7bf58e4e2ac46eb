import { plainType } from '@kalamdb/protocol';
import type { EvalContext } from '../input-row.ts';
import type { Typed } from '../typed.ts';
import type { FunctionFamily, FunctionOverload } from './function-spec.ts';

const text = plainType('text');
const MICROS_PER_DAY = 86_400_000_000n;

const user: FunctionOverload = { arguments: [], result: text, stability: 'execution', body: { context: (context) => context.userId } };
const role: FunctionOverload = { arguments: [], result: text, stability: 'execution', body: { context: (context) => context.role } };
const now: FunctionOverload = {
  arguments: [],
  result: plainType('timestamp'),
  stability: 'execution',
  body: { context: (context) => context.nowMicros },
};

/** Names of the functions whose value depends on who asks. */
export const USER_FUNCTIONS: ReadonlySet<string> = new Set([
  'current_user',
  'current_user_id',
  'kdb_current_user',
  'session_user',
  'user',
  'current_role',
  'kdb_current_role',
]);

/** Whether a node by itself, whatever its operands do, has another value at another time or with each call. */
export function dependsOnTime(node: Typed): boolean {
  if (node.stability === 'volatile') return true;
  if (node.stability !== 'execution' || node.kind !== 'operation' || USER_FUNCTIONS.has(node.name)) return false;
  return node.operands.every(({ stability }) => stability === 'constant');
}

/** Who asks, when, and fresh ids. */
export const CONTEXT_FUNCTIONS: FunctionFamily = {
  current_user: [user],
  current_user_id: [user],
  kdb_current_user: [user],
  session_user: [user],
  user: [user],
  current_role: [role],
  kdb_current_role: [role],
  now: [now],
  current_timestamp: [now],
  localtimestamp: [now],
  transaction_timestamp: [now],
  statement_timestamp: [now],
  current_date: [
    {
      arguments: [],
      result: plainType('date'),
      stability: 'execution',
      body: { context: (context) => Number(context.nowMicros / MICROS_PER_DAY) },
    },
  ],
  current_time: [
    {
      arguments: [],
      result: plainType('time'),
      stability: 'execution',
      body: { context: (context) => Number(context.nowMicros % MICROS_PER_DAY) },
    },
  ],
  snowflake_id: [
    {
      arguments: [],
      result: plainType('bigint'),
      stability: 'volatile',
      body: { context: (context: EvalContext) => context.snowflakeId() },
    },
  ],
  uuid_v7: [{ arguments: [], result: text, stability: 'volatile', body: { context: (context: EvalContext) => context.uuidV7() } }],
  ulid: [{ arguments: [], result: text, stability: 'volatile', body: { context: (context: EvalContext) => context.ulid() } }],
  random: [
    { arguments: [], result: plainType('double'), stability: 'volatile', body: { context: (context: EvalContext) => context.random() } },
  ],
};
