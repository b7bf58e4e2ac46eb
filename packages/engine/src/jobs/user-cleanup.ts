import type { Catalog } from '../catalog/catalog.ts';
import { apiTokenRepository } from '../catalog/system-tables/api-tokens.ts';
import type { SystemWriter } from '../catalog/system-tables/repository.ts';
import type { JobExecutor } from './executor.ts';
import type { JobLedger } from './job-ledger.ts';

/**
 * Queues the cleanup after a user in the commit that drops it. When there are too many jobs it is left out: nobody may use the
 * tokens of a dropped user, and to lock somebody out must not wait.
 */
export function createUserCleanup(ledger: JobLedger, writer: SystemWriter, userId: string): void {
  if (!ledger.hasRoom) return;
  const key = `drop-user-${userId}`;
  ledger.create(writer, { type: 'user_cleanup', parameters: { user_id: userId, username: userId, cascade: false }, key });
}

/**
 * Removes what only the user could use: the API tokens. The rows in USER tables stay: a drop is soft, the name stays taken, and
 * admins reach the rows with EXECUTE AS USER; events of streams go with their TTL.
 */
export function userCleanupExecutor(catalog: Catalog): JobExecutor {
  return {
    type: 'user_cleanup',
    cancellable: true,
    runningMax: 1,
    onRestart: 'resume',
    run: async ({ parameters }) => {
      const userId = userOf(parameters);
      const tokens = [...catalog.apiTokens()].filter((token) => token.userId === userId);
      return {
        message: `Cleaned up user '${userId}' successfully - ${tokens.length} API tokens revoked; rows in USER tables are kept`,
        finish: (writer) => {
          for (const { userId: owner, slot, tokenId } of tokens) {
            const record = apiTokenRepository.latest(writer, owner, slot);
            if (record?.tokenId === tokenId) apiTokenRepository.remove(writer, record);
          }
        },
      };
    },
  };
}

function userOf(parameters: string): string {
  const value: unknown = JSON.parse(parameters);
  return typeof value === 'object' && value !== null && 'user_id' in value ? String(value.user_id) : '';
}
