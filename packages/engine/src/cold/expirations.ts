import type { PartitionId } from '@kalamdb/storage';
import { EXPIRATIONS, type ExpirationRecord, expirationRepository } from '../catalog/system-tables/expirations.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { ChangeSet, RowVersion } from '../contract.ts';

/**
 * Up to where tombstones were removed from partitions without segments: a fold over the rows of EXPIRATIONS, loaded at opening and moved
 * by every commit. Of partitions with segments the manifest says it, too.
 */
export class Expirations {
  readonly #tables = new Map<number, Map<string, bigint>>();

  /** Reads what there is at opening. */
  load(rows: Iterable<RowVersion>): void {
    for (const row of rows) this.#take(row);
  }

  /** Takes in a commit. */
  observe({ parts }: ChangeSet): void {
    for (const { partition, rows } of parts) if (partition.tableId === EXPIRATIONS.id) for (const row of rows) this.#take(row);
  }

  /** The highest `_seq` of a tombstone that was removed; 0n: none was. */
  of({ tableId, owner }: PartitionId): bigint {
    return this.#tables.get(tableId)?.get(owner) ?? 0n;
  }

  /** Writes down that tombstones up to a `_seq` are going to be removed. */
  raise(writer: SystemWriter, { tableId, owner }: PartitionId, expiredSeq: bigint): void {
    expirationRepository.put(writer, { tableId, owner, expiredSeq });
  }

  /** Forgets a dropped table. */
  remove(writer: SystemWriter, tableId: number): void {
    for (const [owner, expiredSeq] of this.#tables.get(tableId) ?? []) expirationRepository.remove(writer, { tableId, owner, expiredSeq });
  }

  #take(row: RowVersion): void {
    const { tableId, owner, expiredSeq }: ExpirationRecord = expirationRepository.read(row);
    const owners = this.#tables.get(tableId) ?? new Map<string, bigint>();
    if (row.deleted) owners.delete(owner);
    else owners.set(owner, expiredSeq);
    if (owners.size === 0) this.#tables.delete(tableId);
    else this.#tables.set(tableId, owners);
  }
}
