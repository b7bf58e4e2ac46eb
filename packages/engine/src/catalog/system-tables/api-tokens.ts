import type { Table } from '../table.ts';
import { CellReader } from './cell-reader.ts';
import { Repository } from './repository.ts';
import { key, optional, required, systemTable, timeOfWriting } from './system-table.ts';

/**
 * `system.api_tokens`: tokens that users made for their programs. What a token's secret hashes to is stored where no
 * statement can name it. The key is (`user_id`, `slot`), and slots of revoked tokens are used again, so that a user who
 * makes and revokes tokens for ever leaves no more rows than it may have tokens.
 */
export const API_TOKENS: Table = systemTable({
  id: 12,
  name: 'api_tokens',
  comment: 'Tokens that users made for their programs',
  columns: [
    key('token_id', 'text', 'The part of the token between its underscores'),
    required('user_id', 'text', 'Whose requests it makes'),
    required('name', 'text', 'What its user calls it'),
    timeOfWriting('created_at', 'When it was made'),
    optional('expires_at', 'timestamp', 'From when it is refused'),
    optional('last_used_at', 'timestamp', 'Last use, to the minute'),
  ],
  hidden: [required('slot', 'int', 'Place among the tokens of its user'), required('secret_hash', 'text', 'SHA-256 of the secret, hex')],
  keyIndexes: [1, 6],
});

/** One token. */
export interface ApiTokenRecord {
  readonly tokenId: string;
  readonly userId: string;
  readonly name: string;
  readonly createdAtMicros: bigint;
  readonly expiresAtMicros: bigint | undefined;
  readonly lastUsedAtMicros: bigint | undefined;
  readonly slot: number;
  /** SHA-256 of the secret, hex. */
  readonly secretHash: string;
}

/** Reads and writes `system.api_tokens`. */
export const apiTokenRepository: Repository<ApiTokenRecord> = new Repository<ApiTokenRecord>(API_TOKENS, {
  toRow: (record) => [
    record.tokenId,
    record.userId,
    record.name,
    record.createdAtMicros,
    record.expiresAtMicros ?? null,
    record.lastUsedAtMicros ?? null,
    record.slot,
    record.secretHash,
  ],
  fromRow: (cells) => {
    const reader = new CellReader(API_TOKENS.name, cells);
    return {
      tokenId: reader.text(),
      userId: reader.text(),
      name: reader.text(),
      createdAtMicros: reader.bigint(),
      expiresAtMicros: reader.bigintOrNone(),
      lastUsedAtMicros: reader.bigintOrNone(),
      slot: reader.number(),
      secretHash: reader.text(),
    };
  },
});
