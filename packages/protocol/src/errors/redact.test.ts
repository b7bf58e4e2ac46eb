import { describe, expect, test } from 'vitest';
import { ERRORS, type ErrorCode, KalamError, kalamError } from './kalam-error.ts';
import { wireMessage } from './redact.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];

test('an unknown table is told to admins only', () => {
  const error = kalamError('TABLE_NOT_FOUND', { table: 'app.secrets' });
  expect(wireMessage(error, { admin: true })).toBe("Table not found: table 'app.secrets' not found");
  expect(wireMessage(error, { admin: false })).toBe('SQL statement failed');
});

test('texts that are for everyone are kept', () => {
  const error = kalamError('NAMESPACE_MISSING', { namespace: 'app' });
  expect(wireMessage(error, { admin: false })).toBe("Not found: Namespace 'app' not found");
});

describe.each(codes)('%s', (code) => {
  const error = new KalamError(code, 'the details');

  test('is told in full exactly when the table says so, else by the generic text of its wire code', () => {
    const generic = {
      BATCH_PARSE_ERROR: 'Failed to parse SQL batch',
      SQL_EXECUTION_ERROR: 'SQL statement failed',
      INVALID_SQL: 'SQL statement is invalid or not allowed',
      INTERNAL_ERROR: 'SQL request failed',
    };
    expect(wireMessage(error, { admin: true })).toBe('the details');
    const wire = error.spec.wire;
    const hidden = wire in generic ? generic[wire as keyof typeof generic] : undefined;
    expect(wireMessage(error, { admin: false })).toBe(error.spec.visible ? 'the details' : hidden);
  });
});
