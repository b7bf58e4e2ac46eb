import type { Random } from '@kalamdb/protocol';
import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { counterRepository } from './counters.ts';
import { Repository, type SystemWriter } from './repository.ts';
import { key, optional, required, systemTable } from './system-table.ts';

/** Rows of each kind that are kept; a newer one takes the place of the oldest of its kind. */
export const AUDIT_ROWS_MAX = 50_000;
const TARGET_CHARACTERS_MAX = 300;
const DETAILS_CHARACTERS_MAX = 1000;
const ID_BYTES = 8;

/**
 * `system.audit_log` (catalog B5). A row lies at its `slot`, which is used again after {@link AUDIT_ROWS_MAX} rows of its
 * kind: what is over-written leaves nothing behind, so the table cannot grow.
 */
export const AUDIT_LOG: Table = systemTable({
  id: 7,
  name: 'audit_log',
  comment: 'Who did what',
  columns: [
    key('audit_id', 'text', 'audit_<milliseconds>_<hex>'),
    required('timestamp', 'timestamp', 'When'),
    required('actor_user_id', 'text', 'Who'),
    required('action', 'text', 'What, e.g. CREATE_TABLE'),
    required('target', 'text', 'To what'),
    optional('details', 'text', 'Details without secrets'),
    optional('ip_address', 'text', 'From where'),
    optional('subject_user_id', 'text', 'On whose behalf'),
  ],
  hidden: [required('slot', 'bigint', 'Place in the ring of rows')],
  keyIndexes: [8],
});

/**
 * Two rings of rows, so that what anybody can cause in great number (`noted`: failed logins, EXECUTE AS USER) never takes the
 * place of what only few can do (`changes`).
 */
export type AuditKind = 'changes' | 'noted';

/** The counter of rows that were ever written to a ring, and the first of its slots as a part of all of them. */
const RINGS: Readonly<Record<AuditKind, { readonly counter: string; readonly index: bigint }>> = {
  changes: { counter: 'audit_changes', index: 0n },
  noted: { counter: 'audit_noted', index: 1n },
};

/** How a row is written. */
export interface AuditPlace {
  readonly kind: AuditKind;
  readonly random: Random;
  /** Rows of each kind; the same for the life of a database. */
  readonly rowsMax: number;
}

/** What is written down of one event. Whoever makes one leaves out secrets. */
export interface AuditEntry {
  /** Who did it; `anonymous` when nobody has proved to be anybody. */
  readonly actor: string;
  /** In capitals, e.g. `CREATE_USER`. */
  readonly action: string;
  /** `kind:name`, e.g. `user:alice`. */
  readonly target: string;
  readonly details?: string | undefined;
  /** Where the request came from. */
  readonly address?: string | undefined;
  /** On whose behalf, when that is not the actor. */
  readonly subject?: string | undefined;
}

interface AuditRecord extends AuditEntry {
  readonly auditId: string;
  readonly atMicros: bigint;
  readonly slot: bigint;
}

const auditRepository: Repository<AuditRecord> = new Repository<AuditRecord>(AUDIT_LOG, {
  toRow: (record) => [
    record.auditId,
    record.atMicros,
    record.actor,
    record.action,
    record.target,
    record.details ?? null,
    record.address ?? null,
    record.subject ?? null,
    record.slot,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(AUDIT_LOG.name, cells);
    return {
      auditId: reader.text(),
      atMicros: reader.bigint(),
      actor: reader.text(),
      action: reader.text(),
      target: reader.text(),
      details: reader.textOrNone(),
      address: reader.textOrNone(),
      subject: reader.textOrNone(),
      slot: reader.bigint(),
    };
  },
});

/** Writes a row in the commit of what it tells of, so that neither is there without the other. */
export function writeAudit(writer: SystemWriter, entry: AuditEntry, { kind, random, rowsMax }: AuditPlace): void {
  const { counter, index } = RINGS[kind];
  const count = counterRepository.latest(writer, counter)?.value ?? 0n;
  counterRepository.put(writer, { name: counter, value: count + 1n });
  const rows = BigInt(rowsMax);
  auditRepository.put(writer, {
    ...entry,
    target: shortened(entry.target, TARGET_CHARACTERS_MAX),
    details: entry.details === undefined ? undefined : shortened(entry.details, DETAILS_CHARACTERS_MAX),
    auditId: `audit_${writer.nowMicros / 1000n}_${Buffer.from(random.bytes(ID_BYTES)).toString('hex')}`,
    atMicros: writer.nowMicros,
    slot: index * rows + (count % rows),
  });
}

/** At most so many characters, none of them half. */
function shortened(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).replace(/\p{Surrogate}/gu, '\uFFFD');
}
