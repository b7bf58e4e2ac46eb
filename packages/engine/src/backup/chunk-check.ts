import { type CommitPart, decodeCommit, encodeCommit } from '@kalamdb/storage';
import type { CheckedChunk, ChunkToCheck } from './backup-messages.ts';

/** Reads a chunk whose checksum is right and gives its tables their new ids. Throws DAMAGED_DATA. */
export function checkChunk({ bytes, tableIds, wanted }: ChunkToCheck): CheckedChunk {
  const { seq, parts } = decodeCommit(bytes);
  const rowsByTable = new Map<number, number>();
  const kept: CommitPart[] = [];
  let [rows, lastSeq] = [0, 0n];
  for (const part of parts) {
    const { tableId } = part.partition;
    rows += part.rows.length;
    rowsByTable.set(tableId, (rowsByTable.get(tableId) ?? 0) + part.rows.length);
    for (const row of part.rows) if (row.seq > lastSeq) lastSeq = row.seq;
    const id = tableIds === undefined ? tableId : tableIds.get(tableId);
    if (id !== undefined) kept.push({ partition: { ...part.partition, tableId: id }, rows: part.rows });
  }
  const isSame = tableIds === undefined;
  const wantedBytes = wanted && kept.length > 0 ? new Uint8Array(isSame ? bytes : encodeCommit({ seq, parts: kept })) : undefined;
  return { bytes: wantedBytes, rows, rowsByTable, lastSeq };
}
