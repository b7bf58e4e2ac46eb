import type { LiveQueryRecord } from '../catalog/views/live-view.ts';
import type { LiveQueryInfo } from '../live/live.ts';

const micros = (millis: number): bigint => BigInt(Math.trunc(millis)) * 1000n;

/** The rows of `system.live` for the subscriptions there are. */
export function* liveQueryRecords(queries: readonly LiveQueryInfo[]): Iterable<LiveQueryRecord> {
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
    };
  }
}
