import { ERRORS, type ErrorCode } from '@kalamdb/protocol';
import type { Statement } from '@kalamdb/sql';
import { expect, it } from 'vitest';
import { GrammarReport, GrammarWorld } from './grammar-world.ts';
import { runGrammarOverHttp } from './over-http.ts';
import { PROVOCATIONS, UNREACHED } from './rare-errors.ts';
import { runGrammar } from './run.ts';

/** What random statements come across is chance: this often more of them are played until everything was met. */
const FURTHER_SEEDS_MAX = 6;
const ROOT = { userId: 'root', role: 'system' } as const;

it('random statements of the dialect are answered or refused with a typed error, and refused ones change nothing', async () => {
  const report = await runGrammar({ seed: 1, statements: 2000 });
  expect(report.problems).toEqual([]);
  expect(report.statements).toBe(2000);
  const met = new Set(report.kinds.keys());
  const unmet = (): readonly string[] => KINDS.filter((kind) => !met.has(kind));
  for (let seed = 101; seed <= 100 + FURTHER_SEEDS_MAX && unmet().length > 0; seed++) {
    const further = await runGrammar({ seed, statements: 500 });
    expect(further.problems).toEqual([]);
    for (const kind of further.kinds.keys()) met.add(kind);
  }
  expect(unmet()).toEqual([]);
}, 240_000);

it('every error that a statement can end with is met, and leaves everything as it was', async () => {
  const report = new GrammarReport();
  const world = await GrammarWorld.open(1, report);
  try {
    const outcomes: string[] = [];
    for (const { code, sql, parameters, principal = ROOT } of PROVOCATIONS) {
      const before = report.codes.get(code) ?? 0;
      const problem = await world.play(principal, { sql, parameters });
      if (problem !== undefined) outcomes.push(problem);
      if (report.codes.get(code) !== before + 1) outcomes.push(`no ${code}: ${sql.slice(0, 200)}`);
    }
    expect(outcomes).toEqual([]);
    for (let seed = 1; seed <= FURTHER_SEEDS_MAX && (seed === 1 || unmet(report).length > 0); seed++) await world.playRandom(seed, 500);
  } finally {
    await world.close();
  }
  expect(report.problems).toEqual([]);
  expect(unmet(report)).toEqual([]);
}, 240_000);

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

const unmet = ({ codes }: GrammarReport): readonly ErrorCode[] =>
  STATEMENT_CODES.filter((code) => !codes.has(code) && UNREACHED[code] === undefined);

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
  'create-storage': true,
  'alter-storage': true,
  'drop-storage': true,
  'storage-check': true,
  'storage-compact-table': true,
  'storage-flush-table': true,
  'backup-database': true,
  'backup-verify': true,
  'restore-database': true,
  'show-backup': true,
  'show-backups': true,
  'describe-table': true,
  'describe-columns': true,
  'show-columns': true,
  'show-stats': true,
  'storage-flush-all': true,
  'storage-compact-all': true,
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
  'explain-live': true,
  'set-option': true,
  'not-implemented': true,
} satisfies Record<Statement['kind'], true>);
