import { Buffer } from 'node:buffer';
import type { LogEntry } from '../contract.ts';
import { checksumOfBytes } from './checksum.ts';
import { entryBytesMax } from './log-entry.ts';
import { type ChainPoint, recordHeadBytes, recordOverheadBytes, runFlag, runTagBytes } from './log-format.ts';

/**
 * Walks over records that lie in memory and are on the chain: well formed, named above the one before, their checksum begun with
 * that of the one before. It makes no object per record, because at start it walks over everything that is in the log.
 */
export class RecordScanner {
  readonly #source: Buffer;
  readonly #view: DataView;
  #at = 0;
  #runStart: number | undefined;
  #payloadStart = 0;
  #payloadEnd = 0;
  #seq: bigint;
  /** Signed: a number that needs no object. */
  #crc: number;
  /** Bytes that the next record needs, if it may go on behind the end of `source`; 0 if the chain ends. */
  #needed: number = recordOverheadBytes;

  /** `last` is the place on the chain before the first record of `source`. */
  constructor(source: Buffer, last: ChainPoint) {
    this.#source = source;
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.#seq = last.seq;
    this.#crc = last.crc | 0;
  }

  /** The record that was walked over last. */
  get point(): ChainPoint {
    return { seq: this.#seq, crc: this.crc };
  }

  get seq(): bigint {
    return this.#seq;
  }

  get crc(): number {
    return this.#crc >>> 0;
  }

  /** Bytes of `source` that were walked over. */
  get walked(): number {
    return this.#at;
  }

  /** What was walked over, from `start` on: a view of `source`. */
  walkedBytes(start: number): Buffer {
    return this.#source.subarray(start, this.#at);
  }

  /** Where in `source` the last run begins that was walked over, if one does. */
  get runStart(): number | undefined {
    return this.#runStart;
  }

  get sourceBytes(): number {
    return this.#source.length;
  }

  /** After `next` answered false: the bytes that a record here would take, or 0 if there is none, whatever follows. */
  get needed(): number {
    return this.#needed;
  }

  /** The record walked over last; its payload is a view of `source`. */
  entry(): LogEntry {
    return { seq: this.#seq, payload: this.#source.subarray(this.#payloadStart, this.#payloadEnd) };
  }

  /** Walks over one record; false if there is none. */
  next(): boolean {
    const start = this.#at;
    const left = this.#source.length - start;
    this.#needed = recordOverheadBytes;
    if (left < recordHeadBytes) return false;
    const length = this.#view.getUint32(start);
    const tagBytes = length >= runFlag ? runTagBytes : 0;
    const payloadBytes = length >= runFlag ? length - runFlag : length;
    const seq = this.#view.getBigUint64(start + 4);
    this.#needed = 0;
    if (payloadBytes === 0 || payloadBytes > entryBytesMax || seq <= this.#seq) return false;
    const bytes = recordOverheadBytes + tagBytes + payloadBytes;
    if (left < bytes) {
      this.#needed = bytes;
      return false;
    }
    const payloadStart = start + recordHeadBytes + tagBytes;
    const end = payloadStart + payloadBytes;
    const crc = this.#view.getInt32(end);
    if (crc !== checksumOfBytes(this.#source, start, end, this.#crc)) return false;
    if (tagBytes > 0) this.#runStart = start;
    this.#payloadStart = payloadStart;
    this.#payloadEnd = end;
    this.#at = start + bytes;
    this.#seq = seq;
    this.#crc = crc;
    return true;
  }
}

/**
 * Whether the head of a run (see `encodeRecords`) of the file whose header has the checksum `tag` lies anywhere in `source`, whole or
 * not, named above `afterSeq`.
 */
export function holdsRunHead(source: Buffer, tag: number, afterSeq: bigint): boolean {
  const wanted = Buffer.alloc(runTagBytes);
  wanted.writeUInt32BE(tag);
  for (let at = source.indexOf(wanted, recordHeadBytes); at !== -1; at = source.indexOf(wanted, at + 1)) {
    const start = at - recordHeadBytes;
    const payloadBytes = source.readUInt32BE(start) - runFlag;
    if (payloadBytes > 0 && payloadBytes <= entryBytesMax && source.readBigUInt64BE(start + 4) > afterSeq) return true;
  }
  return false;
}
