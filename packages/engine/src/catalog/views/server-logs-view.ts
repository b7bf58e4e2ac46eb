import type { ScanProvider } from '../catalog.ts';
import { optional, required, systemTable } from '../system-tables/system-table.ts';
import type { Table } from '../table.ts';
import { computedRow } from './computed-row.ts';

const SERVER_LOGS: Table = systemTable({
  id: 112,
  name: 'server_logs',
  comment: 'The newest lines of the log',
  columns: [
    required('timestamp', 'text', 'When, in UTC'),
    required('level', 'text', 'TRACE, DEBUG, INFO, WARN, ERROR or FATAL'),
    optional('thread', 'text', 'Thread'),
    optional('target', 'text', 'Part of the server, or the request'),
    optional('line', 'bigint', 'Number of the line since the start'),
    required('message', 'text', 'What happened'),
  ],
});

/** One line of the server's log. It holds no secrets. */
export interface ServerLogLine {
  /** As in `2026-01-31T08:00:00.000Z`. */
  readonly timestamp: string;
  readonly level: string;
  readonly target: string | undefined;
  readonly line: number;
  readonly message: string;
}

/** `system.server_logs` (catalog B5): the lines that the server keeps in memory. */
export function serverLogsView(source: () => Iterable<ServerLogLine>): ScanProvider {
  return {
    table: SERVER_LOGS,
    rows: () =>
      [...source()].map(({ timestamp, level, target, line, message }) =>
        computedRow([timestamp, level, 'main', target ?? null, BigInt(line), message]),
      ),
  };
}
