/**
 * The thread of backups and restores: reads the hot tier through a handle of its own, and looks through chunks.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { kalamError } from '@kalamdb/protocol';
import type { BackupCall, BackupStart } from './backup-messages.ts';
import { BackupSession } from './backup-session.ts';

const port = parentPort;
if (port === null) throw kalamError('INTERNAL_ERROR', { reason: 'the backup worker was not started as a thread' });

const session = new BackupSession(workerData as BackupStart, (answer, transfer) => port.postMessage(answer, transfer));

port.on('message', (call: BackupCall) => {
  if (call.kind === 'close') void session.close().then(() => port.close());
  else session.handle(call);
});
