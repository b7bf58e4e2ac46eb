import { type Clock, lastSnowflakeOf } from '@kalamdb/protocol';
import type { Segment } from '@kalamdb/storage';
import type { Table } from '../catalog/table.ts';

/** Hours for which tombstones are kept in tables that do not say it (catalog B15). */
export const DELETED_RETENTION_HOURS = 168;
const HOUR_MILLIS = 3_600_000;

/**
 * Which tombstones have been kept long enough. A tombstone is at least as old as its `_seq` says, and as the segment that it was flushed to:
 * neither is before the delete. So nothing expires early; what was deleted while the sequence ran ahead of the clock
 * expires late, in a segment by its time and in the hot tier when the clock has caught up.
 */
export class TombstoneRetention {
  readonly #clock: Clock;
  readonly #defaultHours: number;

  constructor(clock: Clock, defaultHours: number = DELETED_RETENTION_HOURS) {
    this.#clock = clock;
    this.#defaultHours = defaultHours;
  }

  /** For how long a table keeps them; `undefined`: for ever. */
  hours({ options }: Pick<Table, 'options'>): number | undefined {
    const { deletedRetentionHours: hours = this.#defaultHours } = options;
    return hours === 'off' ? undefined : hours;
  }

  /** Up to which `_seq` those of a table have expired, wherever they are. */
  expiredThroughSeq(table: Pick<Table, 'options'>): bigint {
    const millis = this.#expiredBefore(table);
    return millis === undefined ? 0n : lastSnowflakeOf(millis);
  }

  /** Up to which `_seq` those of a segment have expired. */
  expiredInSegment(table: Pick<Table, 'options'>, { createdAtMillis, maxSeq }: Segment): bigint {
    const millis = this.#expiredBefore(table);
    if (millis === undefined) return 0n;
    return createdAtMillis <= millis ? maxSeq : lastSnowflakeOf(millis);
  }

  #expiredBefore(table: Pick<Table, 'options'>): number | undefined {
    const hours = this.hours(table);
    return hours === undefined ? undefined : this.#clock.now() - hours * HOUR_MILLIS;
  }
}
