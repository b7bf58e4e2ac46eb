import type { WireErrorCode } from '@kalamdb/protocol';
import type { ResultColumn } from '../contract.ts';

/**
 * What a frame says after its head: encoded at most once, however many connections send it. The edge writes
 * `{"type":"change","subscription_id":<id>,` + `json()` + `}`.
 */
export class SharedBody {
  /** When it was made, by the wall clock: read once for everybody who is sent it. */
  readonly atMillis: number;
  /** What the edge has made of it, for the next receiver; it is gone with the body. */
  readonly forms: { json?: object; msgpack?: object } = {};
  #encode: (() => string) | undefined;
  #json = '';

  constructor(atMillis: number, encode: () => string) {
    this.atMillis = atMillis;
    this.#encode = encode;
  }

  /**
   * Members of a JSON object without braces, for example `"change_type":"insert","rows":[{"id":1}]`. Bodies that reach a sink
   * are already encoded, so this does not throw there.
   */
  json(): string {
    if (this.#encode !== undefined) {
      this.#json = this.#encode();
      this.#encode = undefined;
    }
    return this.#json;
  }
}

/** Where a subscription stands in its initial load (wire-protocol 4.7). */
export interface BatchControl {
  readonly batchNum: number;
  readonly hasMore: boolean;
  readonly status: 'loading' | 'loading_batch' | 'ready';
  /** `_seq` of the last row of the batch. */
  readonly lastSeqId: bigint | undefined;
}

/**
 * One frame to one subscription; the rows of a batch are JSON objects. `more`, only for connections that are told so: its client is not at the
 * end of a commit after this, and further frames follow.
 */
export type LiveFrame =
  | {
      readonly kind: 'ack';
      readonly subscriptionId: string;
      readonly control: BatchControl;
      readonly schema: readonly ResultColumn[];
      /** Of a query with a LIMIT. */
      readonly limit?: number | undefined;
    }
  | {
      readonly kind: 'batch';
      readonly subscriptionId: string;
      readonly control: BatchControl;
      readonly rows: readonly string[];
      readonly more?: boolean | undefined;
    }
  | { readonly kind: 'change'; readonly subscriptionId: string; readonly body: SharedBody; readonly more?: boolean | undefined }
  | { readonly kind: 'progress'; readonly subscriptionId: string; readonly seq: bigint }
  | { readonly kind: 'error'; readonly subscriptionId: string; readonly code: WireErrorCode; readonly message: string };

/** Where a connection's frames go. Called in order, synchronously; it never throws. It may call `pause` of its connection. */
export interface LiveSink {
  deliver(frame: LiveFrame): void;
}

/** Makes the control of a batch from its number and whether more follow. */
export function batchControl(batchNum: number, hasMore: boolean, lastSeqId: bigint | undefined): BatchControl {
  const unfinished = batchNum === 0 ? 'loading' : 'loading_batch';
  return { batchNum, hasMore, status: hasMore ? unfinished : 'ready', lastSeqId };
}
