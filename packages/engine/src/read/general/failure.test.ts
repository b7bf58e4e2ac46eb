import { KalamError } from '@kalamdb/protocol';
import { expect, test } from 'vitest';
import { type FailureContext, generalFailure, isOutOfMemory } from './failure.ts';

const CONTEXT: FailureContext = { memoryBytesMax: 8 * 1024 ** 2, tableNames: new Map([['k0', 'app.t']]), segments: new Map() };

function codeOf(message: string): string {
  const error = generalFailure(new Error(message), CONTEXT);
  return error instanceof KalamError ? error.code : String(error);
}

test.each([
  'Out of Memory Error: failed to allocate data of size 16.0 MiB (7.9 MiB/8.0 MiB used)',
  'Out of Memory Error: could not allocate block of size 256.0 KiB',
  'Failed to append: could not allocate block of size 256.0 KiB (15.8 MiB/16.0 MiB used)',
  'TransactionContext Error: Failed to commit: could not allocate block of size 256.0 KiB',
  'Invalid Error: Failed to allocate block of 8 bytes (bad allocation)',
  'Cannot create a string longer than 0x1fffffe8 characters',
])('too little memory: %s', (message) => {
  expect(isOutOfMemory(new Error(message))).toBe(true);
  expect(codeOf(message)).toBe('QUERY_TOO_LARGE');
});

test.each([
  ["Conversion Error: Could not convert string 'failed to allocate' to INT32", 'INVALID_TEXT'],
  ["Invalid Input Error: Could not convert string 'division by zero' to BOOLEAN", 'INVALID_TEXT'],
  [
    'Conversion Error: invalid date field format: "Out of Memory Error: could not allocate", expected format is (YYYY-MM-DD)',
    'INVALID_TEXT',
  ],
  ['Invalid Input Error: missing ): (could not allocate, division by zero', 'QUERY_FAILED'],
  ['Invalid Input Error: unit "Out of Memory Error" not recognized for type TIMESTAMP', 'INVALID_ARGUMENT'],
])('words of the query are not those of an error: %s', (message, code) => {
  expect(isOutOfMemory(new Error(message))).toBe(false);
  expect(codeOf(message)).toBe(code);
});

test.each([
  ['Invalid Input Error: division by zero', 'DIVISION_BY_ZERO'],
  ['Out of Range Error: Divide by zero error', 'DIVISION_BY_ZERO'],
  ['Invalid Input Error: Overflow in cast of SMALLINT (102147483647)', 'VALUE_OUT_OF_RANGE'],
])('%s is %s', (message, code) => expect(codeOf(message)).toBe(code));

test('of what has no error of its own the tables are called as their users do', () => {
  expect(String(generalFailure(new Error('Binder Error: k0 is odd'), CONTEXT))).toContain('app.t is odd');
});
