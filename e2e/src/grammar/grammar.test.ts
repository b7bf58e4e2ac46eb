import { ERRORS, type ErrorCode } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { expect, it } from 'vitest';
import { GrammarReport, GrammarWorld } from './grammar-world.ts';
import { runGrammarOverHttp } from './over-http.ts';
import { PROVOCATIONS, UNREACHED } from './rare-errors.ts';
import { runGrammar } from './run.ts';

it('random statements of the dialect are answered or refused with a typed error, and refused ones change nothing', async () => {
  const report = await runGrammar({ seed: 1, statements: 2000 });
  expect(report.problems).toEqual([]);
  expect(report.statements).toBe(2000);
  const unmet = KINDS.filter((kind) => !report.kinds.has(kind));
  expect(unmet).toEqual([]);
}, 120_000);

it('every error that a statement can end with is met, and leaves everything as it was', async () => {
  const report = new GrammarReport();
  const world = await GrammarWorld.open(1, report);
  try {
    const outcomes: string[] = [];
    for (const { code, sql, parameters } of PROVOCATIONS) {
      const before = report.codes.get(code) ?? 0;
      const problem = await world.play({ userId: 'root', role: 'system' }, { sql, parameters });
      if (problem !== undefined) outcomes.push(problem);
      if (report.codes.get(code) !== before + 1) outcomes.push(`no ${code}: ${sql.slice(0, 200)}`);
    }
    expect(outcomes).toEqual([]);
    await world.playRandom(1, 500);
  } finally {
    await world.close();
  }
  expect(report.problems).toEqual([]);
  const raised = STATEMENT_CODES.filter((code) => !report.codes.has(code) && UNREACHED[code] === undefined);
  expect(raised).toEqual([]);
}, 120_000);

it('over HTTP every statement has an answer of its own kind', async () => {
  const { problems, statuses } = await runGrammarOverHttp(1, 200);
  expect(problems).toEqual([]);
  for (const status of [200, 400, 403]) expect(statuses.get(status) ?? 0, String(status)).toBeGreaterThan(0);
}, 120_000);

/** The codes in which clients are told of statements. */
const STATEMENT_WIRE_CODES: ReadonlySet<string> = new Set([
  'EMPTY_SQL',
  'BATCH_PARSE_ERROR',
  'INVALID_SQL',
  'PERMISSION_DENIED',
  'SQL_EXECUTION_ERROR',
  'PARAMS_WITH_BATCH',
  'INVALID_PARAMETER',
  'INVALID_INPUT',
]);
const STATEMENT_CODES = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => STATEMENT_WIRE_CODES.has(ERRORS[code].wire));

/** Every kind of statement; a new one must be added here and to the grammar. */
const KINDS = Object.keys({
  select: true,
  insert: true,
  update: true,
  delete: true,
  'create-namespace': true,
  'drop-namespace': true,
  'alter-namespace': true,
  'show-namespaces': true,
  'use-namespace': true,
  'create-table': true,
  'alter-table': true,
  'create-view': true,
  'drop-view': true,
  'drop-table': true,
  'show-tables': true,
  'show-storages': true,
  'show-manifest': true,
  'storage-compact-table': true,
  'storage-flush-table': true,
  'describe-table': true,
  'describe-columns': true,
  'show-columns': true,
  'show-stats': true,
  'kill-job': true,
  'kill-live-query': true,
  'subscribe-to': true,
  'create-user': true,
  'alter-user': true,
  'drop-user': true,
  begin: true,
  commit: true,
  rollback: true,
  savepoint: true,
  'rollback-to-savepoint': true,
  'release-savepoint': true,
  'execute-as-user': true,
  explain: true,
  'set-option': true,
  'not-implemented': true,
} satisfies Record<Statement['kind'], true>);
