import { readFileSync, writeFileSync } from 'node:fs';
import type { Session } from '@kalamdb/engine';
import { type JudgeOutcome, judgeDifference, postgresText } from './judge-outcome.ts';
import { outcomeOf } from './outcome.ts';

/** The file of statements that users of PostgreSQL type, with PostgreSQL's answers. */
const FILE: URL = new URL('../../src/differential/user-statements.txt', import.meta.url);

/** The tables that the statements are about. */
export const USER_TABLES: readonly string[] = [
  'CREATE TABLE dept (id INT PRIMARY KEY, name TEXT, city TEXT)',
  "INSERT INTO dept (id, name, city) VALUES (1, 'Sales', 'Berlin'), (2, 'Research', 'Paris'), (3, 'Support', 'Berlin'), (4, 'Empty', NULL)",
  'CREATE TABLE emp (id INT PRIMARY KEY, name TEXT, dept_id INT, salary DECIMAL(10,2), hired DATE, manager_id INT, active BOOLEAN, rating DOUBLE)',
  'INSERT INTO emp (id, name, dept_id, salary, hired, manager_id, active, rating) VALUES ' +
    "(1, 'Ann', 1, 6000.00, '2020-01-15', NULL, true, 4.5), (2, 'Bob', 1, 4000.00, '2021-03-01', 1, true, 3.5), " +
    "(3, 'Cid', 2, 5000.50, '2021-11-30', 1, false, 4.0), (4, 'Dora', 2, 3500.25, '2022-06-15', 3, true, NULL), " +
    "(5, 'Ednan', 3, 3500.25, '2022-06-15', 3, NULL, 2.5), (6, 'Fay', NULL, NULL, NULL, 1, false, 5.0)",
  'CREATE TABLE band (id INT PRIMARY KEY, label TEXT)',
  "INSERT INTO band (id, label) VALUES (1, 'high'), (2, 'mid'), (9, 'none')",
  'CREATE TABLE ev (id BIGINT PRIMARY KEY, at TIMESTAMP, kind TEXT, amount DOUBLE, doc JSON)',
  'INSERT INTO ev (id, at, kind, amount, doc) VALUES ' +
    `(1, '2024-01-02 03:04:05.678', 'a', 1.5, '{"k": "v", "a": {"b": 1}, "l": [1, "x", null], "n": "41"}'), ` +
    `(2, '2024-01-02 13:00:00', 'b', -2.5, '{"k": "w", "l": []}'), (3, '2024-02-29 23:59:59', 'a', NULL, NULL), ` +
    `(4, '2024-01-04 00:00:00', NULL, 1e10, '{"z": null, "l": ["y", "x"]}')`,
];

/** One statement of the file. */
export interface UserStatement {
  readonly sql: string;
  /** Lines before it that say what it is about. */
  readonly heading: readonly string[];
  /** What PostgreSQL answers; `undefined`: not asked yet. */
  readonly judge: JudgeOutcome | undefined;
  /** Why KalamDB answers otherwise, if it is meant to. */
  readonly differs: string | undefined;
}

/**
 * Reads the file. A statement is a block of lines, and blocks are parted by empty lines:
 *
 * | line | meaning |
 * |---|---|
 * | `# …` | a heading |
 * | `! …` | KalamDB answers otherwise, and why |
 * | anything else | the statement, on one line |
 * | `=> […]` | a row of PostgreSQL's answer: texts and nulls as JSON; `=>` alone: no rows |
 * | `=> ERROR 22012` | PostgreSQL refuses, with this SQLSTATE |
 */
export function readUserStatements(): readonly UserStatement[] {
  return readFileSync(FILE, 'utf8')
    .split(/\n\n+/)
    .map((block) => block.split('\n').filter((line) => line !== ''))
    .filter((lines) => lines.length > 0)
    .map(statementOf);
}

function statementOf(lines: readonly string[]): UserStatement {
  const of = (mark: string): readonly string[] =>
    lines.filter((line) => line.startsWith(mark)).map((line) => line.slice(mark.length).trim());
  return {
    sql: lines.filter((line) => !/^(?:#|!|=>)/.test(line)).join('\n'),
    heading: of('#'),
    judge: judgeOf(of('=>')),
    differs: of('!')[0],
  };
}

function judgeOf(lines: readonly string[]): JudgeOutcome | undefined {
  const [first] = lines;
  if (first === undefined) return undefined;
  if (first.startsWith('ERROR ')) return { kind: 'error', state: first.slice('ERROR '.length) };
  return { kind: 'rows', rows: lines.filter((line) => line !== '').map((line) => JSON.parse(line) as (string | null)[]) };
}

/** Writes the file, with the answers given. */
export function writeUserStatements(statements: readonly UserStatement[]): void {
  writeFileSync(FILE, `${statements.map(blockOf).join('\n\n')}\n`);
}

function blockOf({ sql, heading, judge, differs }: UserStatement): string {
  const answer = judge?.kind === 'rows' ? judge.rows.map((row) => JSON.stringify(row)) : [`ERROR ${judge?.state ?? ''}`];
  return [
    ...heading.map((line) => `# ${line}`),
    ...(differs === undefined ? [] : [`! ${differs}`]),
    sql,
    ...(answer.length === 0 ? ['=>'] : answer.map((line) => `=> ${line}`)),
  ].join('\n');
}

/** The tables as PostgreSQL makes them: documents are JSONB there. */
export function judgeTables(): readonly string[] {
  return USER_TABLES.map((sql) => postgresText(sql).replace(/ JSON\b/, ' JSONB'));
}

/** What the session's answer differs in from PostgreSQL's. */
export async function userDifference(session: Session, { sql, judge }: UserStatement): Promise<string | undefined> {
  if (judge === undefined) return 'PostgreSQL was not asked';
  return judgeDifference(await outcomeOf(session, sql), judge, true);
}
