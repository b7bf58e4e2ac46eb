import { expect, test } from 'vitest';
import { playTestFile, type SqlRunner } from './play-file.ts';

/** Answers `SELECT n` with the number and refuses everything else that it does not know. */
const counting: SqlRunner = {
  run: async (sql) => {
    const [, number] = /^SELECT (\d+)$/.exec(sql) ?? [];
    if (number !== undefined) return [[Number(number)]];
    if (sql.startsWith('CREATE')) return [];
    throw new Error(`no '${sql}' here`);
  },
};

async function outcome(text: string): Promise<unknown> {
  const { passed, failed, skipped } = await playTestFile(text, counting);
  return { passed, failed: failed.map(({ line, cause }) => `${line}: ${cause}`), skipped: Object.fromEntries(skipped) };
}

test('records pass, fail with their cause, and are left out with the reason', async () => {
  const text = `
statement ok
CREATE TABLE t(a INTEGER)

statement ok
CREATE TABLE u(a INTEGER UNIQUE)

statement ok
DROP 'x'

statement error
DROP 'x'

statement error
SELECT 1

query I nosort
SELECT 1
----
1

query I nosort
SELECT 2
----
1

query II nosort
SELECT 2
----
2
2

query I nosort
SELECT nothing
----
1

onlyif sqlite
query I nosort
SELECT 4
----
5

query I nosort
SELECT 1 IN ()
----
0

query I nosort
SELECT 'hello' NOT IN (SELECT * FROM t)
----
1

statement ok
CREATE INDEX i ON t(a)
`;
  expect(await outcome(text)).toEqual({
    passed: 3,
    failed: [
      '8: refused: no …x… here',
      '14: accepted what must be refused',
      '22: wrong result',
      '27: wrong number of columns',
      '33: refused: no … here',
    ],
    skipped: {
      'the dialect has no UNIQUE': 1,
      'for another database': 1,
      'not PostgreSQL: IN with an empty list': 1,
      'not PostgreSQL: a text or a string of bits among integers': 1,
      'the dialect has no secondary indexes': 1,
    },
  });
});

test('queries that share a label share their result', async () => {
  const query = (number: number): string => `query I nosort same\nSELECT ${number}\n\n`;
  expect(await outcome(query(1) + query(1) + query(2))).toMatchObject({
    passed: 2,
    failed: ['7: differs from another query with its label'],
  });
});

test('nothing runs after a halt that is for this database', async () => {
  const rest = 'statement ok\nDROP it\n';
  expect(await outcome(`onlyif mysql\nhalt\n\n${rest}`)).toMatchObject({ passed: 0, skipped: {} });
  expect(await outcome(`skipif mysql\nhalt\n\n${rest}`)).toMatchObject({ failed: [], skipped: { 'after halt': 1 } });
});

test('a part of the queries can be played', async () => {
  const text = 'statement ok\nCREATE TABLE t(a INTEGER)\n\nquery I nosort\nSELECT 1\n';
  const { passed, skipped } = await playTestFile(text, counting, () => false);
  expect([passed, [...skipped]]).toEqual([1, [['not in the sample', 1]]]);
});
