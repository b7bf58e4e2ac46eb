/**
 * The query thread: runs general queries on a DuckDB of its own, with a handle of its own on the hot tier.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { kalamError } from '@kalamdb/protocol';
import { openQueryHost } from './query-host.ts';
import type { QueryCall, QueryStart } from './query-messages.ts';

const port = parentPort;
if (port === null) throw kalamError('INTERNAL_ERROR', { reason: 'the query worker was not started as a thread' });

const host = await openQueryHost(workerData as QueryStart, (answer, transfer) => port.postMessage(answer, transfer));
port.on('message', (call: QueryCall) => {
  if (call.kind === 'close') void host.close().then(() => port.close());
  else host.handle(call);
});
