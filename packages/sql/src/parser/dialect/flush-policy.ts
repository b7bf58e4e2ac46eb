import type { FlushPolicy } from '../../statement/ast.ts';
import type { OptionValue } from './table-options.ts';
import type { TokenReader } from './token-reader.ts';

/** Rows of a flush policy stay below this. */
const FLUSH_ROWS_LIMIT = 1_000_000;
/** Seconds of a flush policy stay below this. */
const FLUSH_SECONDS_LIMIT = 86_400;

/** `'rows:N'`, `'interval:S'` or `'rows:N,interval:S'` */
export function parseFlushPolicy(reader: TokenReader, option: OptionValue): FlushPolicy {
  let rows: number | undefined;
  let intervalSeconds: number | undefined;
  for (const part of option.value.split(',')) {
    const [key = '', value, more] = part.split(':').map((word) => word.trim());
    if (value === undefined || more !== undefined) {
      throw reader.refuse(`Invalid FLUSH_POLICY format '${part.trim()}'. Expected 'key:value'`, option.position);
    }
    const number = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
    if (key !== 'rows' && key !== 'interval') throw reader.refuse(`Unknown FLUSH_POLICY key '${key}'`, option.position);
    if (number === undefined) throw reader.refuse(`Invalid FLUSH_POLICY format '${part.trim()}'. Expected a whole number`, option.position);
    if (key === 'rows') rows = number;
    else intervalSeconds = number;
  }
  return checkFlushPolicy(reader, { rows, intervalSeconds }, option.position);
}

/** Checks the bounds of both parts. */
export function checkFlushPolicy(reader: TokenReader, policy: FlushPolicy, position: number): FlushPolicy {
  const { rows, intervalSeconds } = policy;
  if (rows === 0 || intervalSeconds === 0) throw reader.refuse("FLUSH_POLICY must specify 'rows' or 'interval' > 0", position);
  if (rows !== undefined && rows >= FLUSH_ROWS_LIMIT) throw reader.refuse('Row limit must be less than 1,000,000', position);
  if (intervalSeconds !== undefined && intervalSeconds >= FLUSH_SECONDS_LIMIT) {
    throw reader.refuse('Interval must be less than 86400 seconds (24 hours)', position);
  }
  return policy;
}
