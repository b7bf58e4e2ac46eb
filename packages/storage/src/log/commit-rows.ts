import type { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { commitFormat, damagedCommit, maskBytes, rowFlags } from './commit-codec.ts';

const SHORT_BYTES = 2;
const WORD_BYTES = 4;
const SEQ_BYTES = 8;

/**
 * Walks over the rows of an encoded commit (see `encodeCommit`) without making an object for any of them: whoever applies a million
 * commits would otherwise spend more on collecting garbage than on writing. All places are offsets into `source`.
 *
 * Use: `open`, then for each `nextPart` all of `nextRow`, until both answer false. Throws DAMAGED_DATA where `decodeCommit` does.
 */
export class CommitRows {
  source: Buffer;
  tableId = 0;
  ownerStart = 0;
  ownerBytes = 0;
  deleted = false;
  hasCreated = false;
  /** Whether the row replaces a version, whose `_seq` lies at {@link replacedStart}. */
  hasReplaced = false;
  /** Whether the row masks a cold one; the mask lies at {@link maskStart}. */
  hasMask = false;
  seqStart = 0;
  createdStart = 0;
  replacedStart = 0;
  maskStart = 0;
  keyStart = 0;
  keyBytes = 0;
  cellsStart = 0;
  cellsBytes = 0;
  #at = 0;
  #end = 0;
  #partsLeft = 0;
  #rowsLeft = 0;

  constructor(source: Buffer) {
    this.source = source;
  }

  /** Begins with the commit of `bytes` bytes at `start` of `source`; answers where its name (8 bytes) lies. */
  open(source: Buffer, start: number, bytes: number): number {
    this.source = source;
    this.#at = start;
    this.#end = start + bytes;
    const format = source.readUInt8(this.#take(1));
    if (format !== commitFormat) throw damagedCommit(`unknown commit format ${format}`);
    const nameStart = this.#take(SEQ_BYTES);
    this.#partsLeft = source.readUInt32BE(this.#take(WORD_BYTES));
    this.#rowsLeft = 0;
    return nameStart;
  }

  /** Goes to the next part; false at the end of the commit. */
  nextPart(): boolean {
    if (this.#rowsLeft > 0) throw kalamError('INTERNAL_ERROR', { reason: 'rows of a part were left out' });
    if (this.#partsLeft === 0) {
      if (this.#at !== this.#end) throw damagedCommit('it has bytes after its end');
      return false;
    }
    this.#partsLeft -= 1;
    this.tableId = this.source.readUInt32BE(this.#take(WORD_BYTES));
    this.ownerBytes = this.source.readUInt16BE(this.#take(SHORT_BYTES));
    this.ownerStart = this.#take(this.ownerBytes);
    this.#rowsLeft = this.source.readUInt32BE(this.#take(WORD_BYTES));
    return true;
  }

  /** Goes to the next row of the part; false at its end. */
  nextRow(): boolean {
    if (this.#rowsLeft === 0) return false;
    this.#rowsLeft -= 1;
    const flags = this.source.readUInt8(this.#take(1));
    if ((flags & ~rowFlags.known) !== 0) throw damagedCommit(`unknown row flags ${flags}`);
    this.deleted = (flags & rowFlags.deleted) !== 0;
    this.hasCreated = (flags & rowFlags.hasCreated) !== 0;
    this.hasReplaced = (flags & rowFlags.hasReplaced) !== 0;
    this.hasMask = (flags & rowFlags.hasMask) !== 0;
    this.seqStart = this.#take(SEQ_BYTES);
    this.createdStart = this.hasCreated ? this.#take(SEQ_BYTES) : this.seqStart;
    this.replacedStart = this.hasReplaced ? this.#take(SEQ_BYTES) : this.seqStart;
    this.maskStart = this.hasMask ? this.#take(maskBytes) : this.seqStart;
    this.keyBytes = this.source.readUInt16BE(this.#take(SHORT_BYTES));
    this.keyStart = this.#take(this.keyBytes);
    this.cellsBytes = this.source.readUInt32BE(this.#take(WORD_BYTES));
    this.cellsStart = this.#take(this.cellsBytes);
    return true;
  }

  /** Where the next row of the part begins. */
  get place(): number {
    return this.#at;
  }

  /** Goes to the row at a {@link place} that was walked over before, outside of its commit: only the row's own properties hold. */
  openRow(source: Buffer, place: number): void {
    this.source = source;
    this.#at = place;
    this.#end = source.length;
    this.#rowsLeft = 1;
    this.nextRow();
  }

  /** Moves over `bytes` and answers where they began. */
  #take(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#end) throw damagedCommit('it ends too early');
    this.#at = start + bytes;
    return start;
  }
}
