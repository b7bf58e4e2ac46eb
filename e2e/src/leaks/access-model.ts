/** Roles that a principal of the leak oracle can have; `nobody` has not logged in. */
export type LeakRole = 'nobody' | 'anonymous' | 'user' | 'service' | 'dba' | 'system';

/** Who receives bytes. */
export interface Receiver {
  readonly name: string;
  readonly role: LeakRole;
}

/** Where a value was put, and by whom it was sent. */
export interface Planted {
  readonly place:
    | { readonly kind: 'owned'; readonly table: string; readonly column: string; readonly owner: Receiver }
    | {
        readonly kind: 'shared';
        readonly table: string;
        readonly column: string;
        readonly level: 'public' | 'private' | 'restricted' | 'dba';
      }
    /** Events that everybody who has logged in may see. */
    | { readonly kind: 'shared stream'; readonly table: string; readonly column: string }
    /**
     * In the definition of a table or namespace, which SHOW and DESCRIBE tell every role but anonymous; information_schema tells it of
     * public tables to anonymous too.
     */
    | { readonly kind: 'definition'; readonly level?: 'public' }
    /** Told only to administrators: e-mail addresses, texts of views and of live queries. */
    | { readonly kind: 'administration' }
    /** Passwords and tokens: told to nobody, not even to whoever sent them. */
    | { readonly kind: 'secret' };
  readonly sender: string;
}

const RANKS: readonly LeakRole[] = ['nobody', 'anonymous', 'user', 'service', 'dba', 'system'];
const isAtLeast = (role: LeakRole, least: LeakRole): boolean => RANKS.indexOf(role) >= RANKS.indexOf(least);

/** Columns whose values nobody below dba reads, whatever the table (sql-dialect B1). */
const MASKED_COLUMNS: readonly string[] = ['credentials', 'password_hash'];

/**
 * Whether a receiver may be told a value: the tables of sql-dialect B3 and B13 and wire-protocol 2.1, read once more, row by row. Whoever
 * sent a value may hear it again, in an error for example, unless it is a secret.
 */
export function mayLearn(receiver: Receiver, { place, sender }: Planted): boolean {
  if (place.kind === 'secret') return false;
  if (sender === receiver.name) return true;
  const isAdmin = isAtLeast(receiver.role, 'dba');
  if ('column' in place && MASKED_COLUMNS.includes(place.column) && !isAdmin) return false;
  switch (place.kind) {
    case 'owned':
      if (receiver.role === 'nobody' || receiver.role === 'anonymous') return false;
      if (place.owner.name === receiver.name) return true;
      // What is read with EXECUTE AS USER is read in the role `user`, which does not see these columns.
      return !MASKED_COLUMNS.includes(place.column) && mayActFor(receiver, place.owner);
    case 'shared':
      if (place.level === 'dba') return isAdmin;
      return isAtLeast(receiver.role, place.level === 'public' ? 'anonymous' : 'service');
    case 'shared stream':
      return isAtLeast(receiver.role, 'user');
    case 'definition':
      return isAtLeast(receiver.role, place.level === 'public' ? 'anonymous' : 'user');
    case 'administration':
      return isAdmin;
    default:
      return place satisfies never;
  }
}

/** The matrix of sql-dialect B19. */
function mayActFor(actor: Receiver, target: Receiver): boolean {
  switch (actor.role) {
    case 'system':
      return true;
    case 'dba':
      return target.role !== 'system';
    case 'service':
      return target.role === 'user' || target.role === 'service';
    default:
      return false;
  }
}
