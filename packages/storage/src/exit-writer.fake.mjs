/**
 * A process that applies batches to a hot tier and prints `applied <seq>` behind each, until something ends it while the applier is inside a
 * transaction: it exits with code 70 (`exit`), throws what nothing catches (`throw`), or the applier's thread dies (`die`).
 */
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { systemTimers } from '@kalamdb/protocol';
import { applierModule } from '../dist/hot/applier-thread.js';
import { openTables } from '../dist/hot/lmdb-tables.js';
import { encodeCommit, openLmdbStore } from '../dist/index.js';

const DEADLY_TABLE = 13;
const BATCHES = 5;
const ROWS = 20_000;

const say = (text) => writeSync(1, `${text}\n`);

const rowAt = (seq) => ({
  key: `k${(seq * 7919n) % 1_000_003n}`,
  seq,
  createdSeq: seq,
  replacedSeq: 0n,
  deleted: false,
  bytes: Buffer.alloc(100),
});

async function write(path, end) {
  const store = await openLmdbStore({
    path,
    applier: new URL(import.meta.url),
    // A thread that hangs is not waited for as long as it is in earnest.
    timers: { ...systemTimers, after: (_millis, callback) => systemTimers.after(200, callback) },
    onFailed(error) {
      say(`failed: ${error.message}`);
      process.exit(70);
    },
  });
  const batch = () => {
    const first = store.appliedSeq + 1n;
    const rows = Array.from({ length: ROWS }, (_, at) => rowAt(first + BigInt(at)));
    const seq = first + BigInt(ROWS - 1);
    return store.apply([{ seq, payload: encodeCommit({ seq, parts: [{ partition: { tableId: 1_000, owner: '' }, rows }] }) }]);
  };
  for (let at = 0; at < BATCHES; at += 1) {
    await batch();
    say(`applied ${store.appliedSeq}`);
  }
  void batch();
  if (end === 'die') store.purge(DEADLY_TABLE, 1).catch(() => undefined);
  else {
    // Until the applier is amid the batch.
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (end === 'throw') throw new Error('a planted exception');
    process.exit(70);
  }
}

/** The real applier, which dies inside a transaction when it is to purge {@link DEADLY_TABLE}. */
async function applier() {
  const on = parentPort.on.bind(parentPort);
  const die = () => openTables(workerData.path, workerData).root.transactionSync(() => process.exit(1));
  parentPort.on = (name, handler) => on(name, (call) => (call.tableId === DEADLY_TABLE ? die() : handler(call)));
  await import(applierModule.href);
}

const [, , path, end] = process.argv;
await (parentPort === null ? write(path, end) : applier());
