import { KalamError } from '@kalamdb/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { OpenRequest } from '../session/open-request.ts';
import { StatementError } from '../session/statement-error.ts';
import {
  MODEL_TABLES,
  type ModelBlock,
  type ModelStatement,
  modelProgram,
  modelRows,
  type WriteModel,
} from './general-write-model.fixture.ts';
import { ROOT, StatementWorld } from './statement-world.fixture.ts';

const EMPTY: WriteModel = { target: new Map(), source: new Map() };
let world: StatementWorld;

beforeEach(async () => {
  world = await StatementWorld.open();
  await world.run(MODEL_TABLES);
});
afterEach(() => world.close());

async function answer(request: OpenRequest, sql: string): Promise<unknown> {
  try {
    const [result] = await request.execute(sql);
    return result?.kind === 'rows' ? result.rows : result?.rowCount;
  } catch (error) {
    const cause = error instanceof StatementError ? error.failure.error : error;
    if (cause instanceof KalamError) return cause.code;
    throw error;
  }
}

const forms = new Map<string, number>();

/** Plays one statement; `undefined`: it was refused. */
async function play(
  request: OpenRequest,
  { sql, form, play: expected }: ModelStatement,
  model: WriteModel,
): Promise<WriteModel | undefined> {
  forms.set(form, (forms.get(form) ?? 0) + 1);
  const wanted = expected(model);
  const found = await answer(request, sql);
  if (wanted.kind === 'refused') {
    expect(found, sql).toBe(wanted.code);
    return undefined;
  }
  expect(found, sql).toEqual(wanted.kind === 'count' ? wanted.count : wanted.rows);
  return wanted.after;
}

async function playBlock(block: ModelBlock, before: WriteModel): Promise<WriteModel> {
  const request = world.database.session(ROOT, { namespace: 'app' }).open();
  const isTransaction = block.end !== 'autocommit';
  if (isTransaction) await request.execute('BEGIN');
  let model = before;
  for (const statement of block.statements) {
    const after = await play(request, statement, model);
    // What fails takes its transaction with it.
    if (after === undefined && isTransaction) return before;
    model = after ?? model;
  }
  if (isTransaction) await request.execute(block.end);
  return block.end === 'ROLLBACK' ? before : model;
}

test('random programs of statements with foreign sources answer and write what a model does that looks at each row', async () => {
  await fc.assert(
    fc.asyncProperty(modelProgram, async (program) => {
      await world.run('DELETE FROM t WHERE true; DELETE FROM s WHERE true');
      let model = EMPTY;
      for (const block of program) {
        model = await playBlock(block, model);
        expect([await world.run('SELECT id, g, n, txt FROM t'), await world.run('SELECT id, tid, d, w FROM s')]).toEqual(modelRows(model));
      }
    }),
    { numRuns: 60 },
  );
  expect([...forms.keys()].length).toBeGreaterThanOrEqual(23);
}, 60_000);
