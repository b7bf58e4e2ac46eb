import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import type { LogEntry } from '../contract.ts';
import { recordHeadBytes, recordOverheadBytes, runFlag, runTagBytes } from './log-format.ts';

/** Walks over the records of a block that was checked when it was read, without making an object for any of them. */
export class RecordPlace {
  seqStart = 0;
  payloadStart = 0;
  payloadEnd = 0;
  #next = 0;

  /** Goes back to before the first record. */
  rewind(): void {
    this.#next = 0;
  }

  /** Goes to the next record; false at the end of the block. */
  next(block: Buffer): boolean {
    const start = this.#next;
    if (start >= block.length) return false;
    const length = block.readUInt32BE(start);
    const isTagged = length >= runFlag;
    this.seqStart = start + 4;
    this.payloadStart = start + recordHeadBytes + (isTagged ? runTagBytes : 0);
    this.payloadEnd = this.payloadStart + (isTagged ? length - runFlag : length);
    this.#next = this.payloadEnd + recordOverheadBytes - recordHeadBytes;
    if (this.#next > block.length) throw kalamError('INTERNAL_ERROR', { reason: 'a block of records ends inside of one' });
    return true;
  }
}

/** Bytes that one step of {@link blockSteps} copies. */
const STEP_BYTES: number = 512 * 1024;

/** Entries as a block of records, alone in its memory, in short steps. Their checksums are left out: nobody looks at them in a block. */
export function* blockSteps(entries: readonly LogEntry[]): Generator<undefined, Uint8Array<ArrayBuffer>> {
  let bytes = 0;
  for (const { payload } of entries) bytes += recordOverheadBytes + payload.length;
  const block = new Uint8Array(bytes);
  const target = Buffer.from(block.buffer);
  let at = 0;
  let left = STEP_BYTES;
  for (const { seq, payload } of entries) {
    target.writeUInt32BE(payload.length, at);
    target.writeBigUInt64BE(seq, at + 4);
    for (let from = 0; from < payload.length; from += STEP_BYTES) {
      const piece = payload.length <= STEP_BYTES ? payload : payload.subarray(from, from + STEP_BYTES);
      block.set(piece, at + recordHeadBytes + from);
      left -= piece.length;
      if (left > 0) continue;
      left = STEP_BYTES;
      yield;
    }
    at += recordOverheadBytes + payload.length;
  }
  return block;
}
