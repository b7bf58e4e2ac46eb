import { KalamError, type Random, type Timer, type Timers } from '@kalamdb/protocol';
import { AUDIT_ROWS_MAX, type AuditEntry, writeAudit } from '../catalog/system-tables/audit-log.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';

/** Events that are alike and happen within this time become one row that counts them. */
export const REPEAT_WINDOW_MILLIS = 60_000;
/** Different events that are remembered within a window; further ones are only counted. */
export const NOTED_KEYS_MAX = 10_000;
/** Rows that wait for their commit; further ones are only counted. */
const WAITING_ROWS_MAX = 10_000;
/** Rows of one commit. */
const COMMIT_ROWS_MAX = 500;
/** How long rows are gathered before they are committed together. */
const GATHER_MILLIS = 100;

/** What a trail works with. */
export interface AuditSources {
  readonly random: Random;
  readonly timers: Timers;
  /** Rows of each kind that are kept. */
  readonly auditRowsMax?: number | undefined;
  readonly warn: (text: string, detail: object) => void;
  commit<T>(turn: (writer: SystemWriter) => T): Promise<T>;
}

interface Noted {
  readonly entry: AuditEntry;
  repeats: number;
}

/**
 * Writes the audit log by two roads. {@link append} puts a row into the commit it tells of. {@link note} is for events that
 * write nothing and may come thousands of times a second (failed logins, EXECUTE AS USER): the first of a kind is written
 * within 100 ms, those like it within the next minute become one row that counts them. Nobody waits for a noted row; a
 * crash loses at most the last 100 ms and the open counts.
 */
export class AuditTrail {
  readonly #sources: AuditSources;
  readonly #noted = new Map<string, Noted>();
  readonly #timer: Timer;
  #waiting: AuditEntry[] = [];
  #gathering: Timer | undefined;
  readonly #writing = new Set<Promise<void>>();
  #uncounted = 0;

  constructor(sources: AuditSources) {
    this.#sources = sources;
    this.#timer = sources.timers.every(REPEAT_WINDOW_MILLIS, () => this.#endWindow());
  }

  /** Writes a row in the commit of what it tells of. */
  append(writer: SystemWriter, entry: AuditEntry): void {
    const { random, auditRowsMax: rowsMax = AUDIT_ROWS_MAX } = this.#sources;
    writeAudit(writer, entry, { kind: 'changes', random, rowsMax });
  }

  /** Writes a row soon, or counts it with those like it. */
  note(entry: AuditEntry): void {
    const { actor, action, target, details, address, subject } = entry;
    const name = JSON.stringify([actor, action, target, details, address, subject]);
    const known = this.#noted.get(name);
    if (known !== undefined) {
      known.repeats += 1;
    } else if (this.#noted.size >= NOTED_KEYS_MAX) {
      this.#uncounted += 1;
    } else {
      this.#noted.set(name, { entry, repeats: 0 });
      this.#write(entry);
    }
  }

  /** Writes what is open; the commits are submitted before this returns. */
  async close(): Promise<void> {
    this.#timer.cancel();
    this.#endWindow();
    this.#flush();
    await Promise.all(this.#writing);
  }

  #endWindow(): void {
    for (const { entry, repeats } of this.#noted.values()) {
      if (repeats > 0) this.#write({ ...entry, details: `${entry.details ?? ''} (${repeats} more like it)`.trimStart() });
    }
    this.#noted.clear();
    if (this.#uncounted > 0) {
      const details = `${this.#uncounted} events were not written down one by one: there were too many different ones`;
      this.#uncounted = 0;
      this.#put({ actor: 'system', action: 'AUDIT_OVERFLOW', target: 'system:audit_log', details });
    }
  }

  #write(entry: AuditEntry): void {
    if (this.#waiting.length >= WAITING_ROWS_MAX) {
      this.#uncounted += 1;
      return;
    }
    this.#put(entry);
  }

  #put(entry: AuditEntry): void {
    this.#waiting.push(entry);
    this.#gathering ??= this.#sources.timers.after(GATHER_MILLIS, () => this.#flush());
  }

  #flush(): void {
    this.#gathering?.cancel();
    this.#gathering = undefined;
    const entries = this.#waiting;
    this.#waiting = [];
    // All at once, so that what is open at the end has its turn before nothing is taken any more.
    for (let at = 0; at < entries.length; at += COMMIT_ROWS_MAX) {
      const commit = this.#commit(entries.slice(at, at + COMMIT_ROWS_MAX));
      this.#writing.add(commit);
      commit.finally(() => this.#writing.delete(commit));
    }
  }

  /** Never rejects. */
  async #commit(entries: readonly AuditEntry[]): Promise<void> {
    const { random, auditRowsMax: rowsMax = AUDIT_ROWS_MAX, commit, warn } = this.#sources;
    try {
      await commit((writer) => {
        for (const entry of entries) writeAudit(writer, entry, { kind: 'noted', random, rowsMax });
      });
    } catch (error) {
      if (error instanceof KalamError && error.code === 'SHUTTING_DOWN') return;
      warn('rows of the audit log could not be written', { error, rows: entries.length });
    }
  }
}
