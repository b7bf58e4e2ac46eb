/**
 * A cold thread: reads segments and writes new ones, with handles of its own on DuckDB and on the hot tier.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { kalamError } from '@kalamdb/protocol';
import { openLmdbReader } from '@kalamdb/storage';
import type { ColdCall, ColdStart } from './cold-messages.ts';
import { ColdSession } from './cold-session.ts';

const port = parentPort;
if (port === null) throw kalamError('INTERNAL_ERROR', { reason: 'the cold worker was not started as a thread' });

const { hotPath, memoryBytesMax } = workerData as ColdStart;
const hot = openLmdbReader(hotPath);
const session = new ColdSession({ hot, memoryBytesMax, reply: (answer, transfer) => port.postMessage(answer, transfer) });

port.on('message', (call: ColdCall) => {
  if (call.kind === 'close') void hot.close().then(() => port.close());
  else void session.handle(call);
});
