import fc from 'fast-check';
import { expect, it } from 'vitest';
import { splitStatements, splitStatementsSteps } from '../statement/split.ts';
import { liftLiterals, liftLiteralsSteps } from './lift.ts';
import { readValuesList, readValuesListSteps } from './values-list.ts';

/** What work in steps comes to, and into how many pieces it was cut. */
function finished<T>(steps: Generator<undefined, T>): { readonly value: T; readonly pieces: number } {
  for (let pieces = 1; ; pieces++) {
    const step = steps.next();
    if (step.done === true) return { value: step.value, pieces };
  }
}

function outcome<T>(work: () => T): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

const constant = fc.constantFrom('1', '-2.5', "'a'", "'it''s'", "E'\\n'", 'NULL', 'DEFAULT', 'true', '$1', '/* c */ 7', '$$d;$$', 'now()');
const tuple = fc.array(constant, { minLength: 2, maxLength: 2 }).map((cells) => `(${cells.join(', ')})`);
const insert = fc
  .tuple(fc.array(tuple, { maxLength: 8 }), fc.integer({ min: 1, max: 60 }))
  .map(([tuples, times]) => `INSERT INTO t VALUES ${Array.from({ length: times }, () => tuples.join(',')).join(',')}`);
const select = fc.array(constant, { minLength: 1, maxLength: 400 }).map((cells) => `SELECT a FROM t WHERE b IN (${cells.join(', ')})`);
const damage = fc.record({ at: fc.nat(), text: fc.constantFrom('', '', "'", '(', ',', ';', 'x', '/*', '\0') });
const text = fc.tuple(fc.oneof(insert, select), damage).map(([sql, { at, text: extra }]) => {
  const place = at % (sql.length + 1);
  return sql.slice(0, place) + extra + sql.slice(place);
});

it('what is read in steps is what is read at once, errors included', () => {
  fc.assert(
    fc.property(text, (sql) => {
      expect(outcome(() => finished(readValuesListSteps(sql, [5n])).value)).toEqual(outcome(() => readValuesList(sql, [5n])));
      expect(outcome(() => finished(liftLiteralsSteps(sql, 1)).value)).toEqual(outcome(() => liftLiterals(sql, 1)));
      expect(outcome(() => finished(splitStatementsSteps(`${sql};${sql}`)).value)).toEqual(outcome(() => splitStatements(`${sql};${sql}`)));
    }),
    { numRuns: 500 },
  );
});

it('a step reads a bounded piece, however long the text is', () => {
  const rows = 10_000;
  const sql = `INSERT INTO t VALUES ${Array.from({ length: rows }, (_, id) => `(${id}, 'x')`).join(', ')}`;
  expect(finished(readValuesListSteps(sql, [])).pieces).toBeGreaterThan(rows / 65);
  const tokens = rows * 6;
  expect(finished(liftLiteralsSteps(sql, 0)).pieces).toBeGreaterThan(tokens / 257);
  expect(finished(splitStatementsSteps(sql)).pieces).toBeGreaterThan(tokens / 257);
});
