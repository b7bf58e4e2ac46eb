import { kalamError, type Timers } from '@kalamdb/protocol';
import type { SeqGaps } from './seq-gaps.ts';
import type { Sequencer } from './sequencer.ts';

/** Milliseconds that a reader waits for the commit it names. */
export const COMMIT_WAIT_MILLIS_MAX = 5000;

/** What a {@link CommitWait} works with. */
export interface CommitWaitSources {
  readonly sequencer: Pick<Sequencer, 'watermark' | 'issuedSeq' | 'observe'>;
  readonly gaps: Pick<SeqGaps, 'contains'>;
  readonly timers: Timers;
}

/** Lets readers wait for a commit that they know of. */
export class CommitWait {
  readonly #sources: CommitWaitSources;

  constructor(sources: CommitWaitSources) {
    this.#sources = sources;
  }

  /**
   * Resolves when readers see the commit; `undefined`: they do. Throws COMMIT_UNKNOWN when it is none of this database, and rejects with
   * COMMIT_NOT_REACHED after {@link COMMIT_WAIT_MILLIS_MAX}.
   */
  reached(seq: bigint): Promise<void> | undefined {
    const { sequencer, gaps } = this.#sources;
    if (gaps.contains(seq)) {
      throw kalamError('COMMIT_UNKNOWN', { commit: String(seq), reason: 'it was lost when the server failed or a backup was restored' });
    }
    if (seq <= sequencer.watermark) return undefined;
    if (seq > sequencer.issuedSeq) throw kalamError('COMMIT_UNKNOWN', { commit: String(seq), reason: 'it is ahead of this database' });
    return this.#wait(seq);
  }

  #wait(seq: bigint): Promise<void> {
    const { sequencer, timers } = this.#sources;
    return new Promise((resolve, reject) => {
      const stop = sequencer.observe((change) => {
        if (change.seq < seq) return;
        timer.cancel();
        stop();
        resolve();
      });
      const timer = timers.after(COMMIT_WAIT_MILLIS_MAX, () => {
        stop();
        reject(kalamError('COMMIT_NOT_REACHED', { commit: String(seq), seconds: COMMIT_WAIT_MILLIS_MAX / 1000 }));
      });
    });
  }
}
