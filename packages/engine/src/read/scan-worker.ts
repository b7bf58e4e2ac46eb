/**
 * The scan thread: runs the queries that read many rows, with a handle of its own on the hot tier.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { kalamError } from '@kalamdb/protocol';
import { initParser } from '@kalamdb/sql';
import { openLmdbReader } from '@kalamdb/storage';
import { ScanControl } from './scan-control.ts';
import type { ScanCall, ScanStart } from './scan-messages.ts';
import { ScanSession } from './scan-session.ts';

const port = parentPort;
if (port === null) throw kalamError('INTERNAL_ERROR', { reason: 'the scan worker was not started as a thread' });

const { path, control } = workerData as ScanStart;
await initParser();
const reader = openLmdbReader(path);
const session = new ScanSession(reader, (answer, transfer) => port.postMessage(answer, transfer), new ScanControl(control));

port.on('message', (call: ScanCall) => {
  if (call.kind === 'close') void reader.close().then(() => port.close());
  else session.handle(call);
});
