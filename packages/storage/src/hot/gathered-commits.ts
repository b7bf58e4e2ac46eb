import { Buffer } from 'node:buffer';
import { kalamError } from '@kalamdb/protocol';
import { CommitRows } from '../log/commit-rows.ts';
import { RecordPlace } from '../log/record-place.ts';
import { BatchRows } from './batch-rows.ts';

const SEQ_BYTES = 8;

/** Where an encoded seq lies. */
interface SeqPlace {
  readonly source: Buffer;
  readonly at: number;
}

/** The order of two encoded seqs, without making numbers of them. */
const compareSeqs = (a: SeqPlace, b: SeqPlace): number => {
  for (let at = 0; at < SEQ_BYTES; at += 1) {
    const difference = (a.source[a.at + at] ?? 0) - (b.source[b.at + at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
};

const seqAt = ({ source, at }: SeqPlace): bigint => source.readBigUInt64BE(at);

/** The commits of blocks of records that follow on one point, as one batch for the hot tier. The blocks stay in memory with it. */
export class GatheredCommits {
  /** The point that the batch follows on. */
  readonly afterSeq: bigint;
  readonly rows: BatchRows = new BatchRows();
  readonly #commit = new CommitRows(Buffer.alloc(0));
  readonly #applied: SeqPlace;
  #last: SeqPlace;
  #bytes = 0;

  constructor(afterSeq: bigint) {
    const before = Buffer.alloc(SEQ_BYTES);
    before.writeBigUInt64BE(afterSeq);
    this.afterSeq = afterSeq;
    this.#applied = { source: before, at: 0 };
    this.#last = this.#applied;
  }

  /** Name of the last commit, or {@link afterSeq} when there is none. */
  get lastSeq(): bigint {
    return seqAt(this.#last);
  }

  /** Bytes of the blocks. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds the commits of a block; those at or below {@link afterSeq} are passed over, so that an uncertain batch may be sent again. Throws
   * DAMAGED_DATA when one is not what its record says; the batch is of no use then.
   */
  add(block: Buffer): void {
    const record = new RecordPlace();
    this.#bytes += block.length;
    while (record.next(block)) {
      const named = { source: block, at: record.seqStart };
      if (compareSeqs(named, this.#applied) <= 0) continue;
      const nameAt = this.#commit.open(block, record.payloadStart, record.payloadEnd - record.payloadStart);
      if (compareSeqs({ source: block, at: nameAt }, named) !== 0 || compareSeqs(named, this.#last) <= 0) {
        const reason = `it is named ${seqAt({ source: block, at: nameAt })} and follows ${seqAt(this.#last)}`;
        throw kalamError('DAMAGED_DATA', { where: `commit ${seqAt(named)}`, reason });
      }
      this.rows.add(block, this.#commit);
      this.#last = named;
    }
  }
}
