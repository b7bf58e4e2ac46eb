/**
 * The applier's thread. It owns its handle on LMDB and is the only writer of the hot tier.
 */
import { Buffer } from 'node:buffer';
import { parentPort, workerData } from 'node:worker_threads';
import { KalamError, kalamError } from '@kalamdb/protocol';
import { ABORT } from 'lmdb';
import type { PurgedRows } from '../contract.ts';
import { Applier } from './applier.ts';
import type { ApplierAnswer, ApplierCall, ApplierStart } from './applier-messages.ts';
import { openTables, readState } from './lmdb-tables.ts';
import { receivePacked } from './packed-stream.ts';
import { WriteGate } from './write-gate.ts';

const DISK_FULL = /No space left|File too large/;

const port = parentPort;
if (port === null) throw kalamError('INTERNAL_ERROR', { reason: 'the applier was not started as a thread' });

const start = workerData as ApplierStart;
const gate = new WriteGate(start.gate);

/** Does what opens a transaction. The process does not end meanwhile, and it is not begun when the process is about to. */
const writing = <T>(write: () => T): T => {
  gate.enter();
  try {
    return write();
  } finally {
    gate.leave();
  }
};

const tables = writing(() => openTables(start.path, start));
const applier = writing(() => new Applier(tables, start.incarnation));
const answer = (message: ApplierAnswer): void => port.postMessage(message);

const applyPacked = (batch: Extract<ApplierCall, { kind: 'apply-packed' }>): void => {
  try {
    applier.applyPacked(receivePacked(batch.pieces, gate), batch);
  } finally {
    batch.pieces.port.close();
  }
};

const carryOut = (call: Exclude<ApplierCall, { kind: 'close' }>): PurgedRows | undefined => {
  if (call.kind === 'purge') return applier.purge(call.tableId, call.rowsMax);
  if (call.kind === 'purge-flushed') return applier.purgeFlushed(call.flushed, call.rowsMax);
  if (call.kind === 'purge-tombstones') return applier.purgeTombstones(call.expired);
  if (call.kind === 'apply-packed') applyPacked(call);
  else if (call.kind === 'load') applier.load(Buffer.from(call.block.buffer, call.block.byteOffset, call.block.byteLength));
  else applier.apply(call.blocks.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)));
  return undefined;
};

/** Failures in a row. */
let failures = 0;

/**
 * After some failures of the disk LMDB refuses every transaction (MDB_PANIC), or fails again though the disk works. A full disk is none
 * of these: it is waited for.
 */
const isBroken = (error: unknown): boolean => {
  failures += 1;
  if (failures > 1 && !DISK_FULL.test(String(error))) return true;
  try {
    writing(() => tables.root.transactionSync(() => ABORT));
    tables.root.resetReadTxn();
    readState(tables);
    return false;
  } catch {
    return true;
  }
};

const handle = async (call: ApplierCall): Promise<void> => {
  try {
    if (call.kind === 'close') {
      await tables.root.close();
      answer({ kind: 'done', appliedSeq: applier.appliedSeq, purged: undefined });
      port.close();
      return;
    }
    const purged = writing(() => carryOut(call));
    failures = 0;
    answer({ kind: 'done', appliedSeq: applier.appliedSeq, purged });
  } catch (error) {
    const code = error instanceof KalamError ? error.code : 'INTERNAL_ERROR';
    const broken = call.kind !== 'close' && !(error instanceof KalamError) && isBroken(error);
    if (broken) await tables.root.close();
    answer({ kind: 'failed', code, message: error instanceof Error ? error.message : String(error), broken });
    if (broken) port.close();
  }
};

port.on('message', (call: ApplierCall) => void handle(call));
answer({ kind: 'ready' });
