import { snowflakeMillis } from '@kalamdb/protocol';
import type { LiveQueryRecord } from '../catalog/views/live-view.ts';
import type { LiveQueryInfo } from '../live/live.ts';

const micros = (millis: number): bigint => BigInt(Math.trunc(millis)) * 1000n;

/** The rows of `system.live` and `system.live_state` for the subscriptions there are, when the newest commit is `watermark`. */
export function* liveQueryRecords(queries: readonly LiveQueryInfo[], watermark: bigint): Iterable<LiveQueryRecord> {
  for (const info of queries) {
    const { batchSize, lastRows, from } = info.options ?? {};
    const options = { batch_size: batchSize, last_rows: lastRows, from: from === undefined ? undefined : String(from) };
    yield {
      connectionId: info.connectionId,
      subscriptionId: info.subscriptionId,
      namespace: info.namespace,
      table: info.table,
      userId: info.userId,
      query: info.query,
      options: info.options === undefined ? undefined : JSON.stringify(options),
      createdAtMicros: micros(info.createdAtMillis),
      lastUpdateMicros: micros(info.lastUpdateMillis),
      changes: BigInt(info.changes),
      lastPingMicros: micros(info.lastUpdateMillis),
      state: info.state,
      rowsDelivered: BigInt(info.rowsDelivered),
      windowRows: info.limit === undefined ? undefined : BigInt(info.limit),
      toldSeq: info.toldSeq,
      lagMillis: lagMillis(info, watermark),
      bytesQueued: BigInt(info.bytesQueued),
    };
  }
}

/** Time between what the client was told and the newest commit; of one that loads, since it subscribed. */
function lagMillis({ toldSeq, createdAtMillis }: LiveQueryInfo, watermark: bigint): bigint {
  if (toldSeq !== undefined && toldSeq >= watermark) return 0n;
  const since = toldSeq === undefined ? createdAtMillis : snowflakeMillis(toldSeq);
  return BigInt(Math.max(0, Math.trunc(snowflakeMillis(watermark) - since)));
}
