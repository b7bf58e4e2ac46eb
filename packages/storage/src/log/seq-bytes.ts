import type { Buffer } from 'node:buffer';

/** `Buffer.writeBigUInt64BE` makes two more bigints on its way; a view's own method makes none. */
const scratch: DataView = new DataView(new ArrayBuffer(8));

/** Writes a `_seq` as 8 bytes, big-endian, at `at`; answers where it ends. */
export function writeSeq(target: Buffer, seq: bigint, at: number): number {
  scratch.setBigUint64(0, seq);
  target.writeUInt32BE(scratch.getUint32(0), at);
  return target.writeUInt32BE(scratch.getUint32(4), at + 4);
}
