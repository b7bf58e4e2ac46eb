import type { Random, Timers } from '@kalamdb/protocol';
import { type AccountSources, Accounts } from '../access/accounts.ts';
import { ApiTokens } from '../access/api-tokens.ts';
import { AuditTrail } from '../access/audit-trail.ts';
import type { PasswordRules } from '../access/password-rules.ts';
import { Users } from '../access/users.ts';
import type { Sequencer } from '../sequencer/sequencer.ts';

/** What decides who comes in, and the log of it. */
export interface Access {
  readonly accounts: Accounts;
  readonly users: Users;
  readonly apiTokens: ApiTokens;
  readonly audit: AuditTrail;
}

interface AccessParts extends Pick<AccountSources, 'catalog' | 'hasher' | 'clock' | 'warn'> {
  readonly sequencer: Sequencer;
  readonly random: Random;
  readonly timers: Timers;
}

/** What may be set; each has a default. */
interface AccessOptions {
  readonly passwordRules?: PasswordRules | undefined;
  readonly userApiTokensMax?: number | undefined;
  /** Rows of each kind that the audit log keeps. */
  readonly auditRowsMax?: number | undefined;
}

/** Makes users, their tokens, and the log of what is done to them; all of them commit in groups with others. */
export function openAccess({ sequencer, ...parts }: AccessParts, options: AccessOptions): Access {
  const commit: AccountSources['commit'] = (turn) => sequencer.submit(turn);
  const audit = new AuditTrail({ ...parts, commit, auditRowsMax: options.auditRowsMax });
  const sources = { ...parts, commit, audit, rules: options.passwordRules };
  const apiTokens = new ApiTokens({ ...sources, perUserMax: options.userApiTokensMax });
  return { accounts: new Accounts(sources), users: new Users(sources), apiTokens, audit };
}
