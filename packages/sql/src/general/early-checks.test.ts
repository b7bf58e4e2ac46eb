import type { Cell } from '@kalamdb/protocol';
import { beforeAll, expect, test } from 'vitest';
import { initParser } from '../parser/parse.ts';
import { plan } from './general-world.fixture.ts';

beforeAll(initParser);

/** What a query says of the rows of its tables: for each source the conditions of each place where it stands. */
function checks(query: string, parameters: readonly Cell[] = []): readonly string[] {
  return plan(query, parameters).sources.map(({ table, checks: lists }) => {
    const places = lists?.map((list) =>
      list
        .map((check) => {
          const value = 'cell' in check ? ` ${String(check.cell)}` : 'cells' in check ? ` ${check.cells.join(',')}` : '';
          return `${check.column} ${check.test}${value}`;
        })
        .join(' & '),
    );
    return `${table.name}: ${places === undefined ? 'all' : places.join(' | ')}`;
  });
}

test.each<[string, readonly string[]]>([
  ["SELECT 1 FROM t, o WHERE t.id = 5 AND o.name = 'x'", ['t: id = 5', 'o: name = x']],
  ['SELECT 1 FROM t JOIN o ON o.tid = t.id AND t.a > 3 AND 7 <= o.tid', ['t: a > 3', 'o: tid >= 7']],
  [
    'SELECT 1 FROM t, o WHERE t.a BETWEEN 1 AND 3 AND t.name IS NULL AND o.tid IS NOT NULL',
    ['t: a >= 1 & a <= 3 & name null', 'o: tid not null'],
  ],
  ["SELECT 1 FROM t, o WHERE t.id IN (1, 2, NULL) AND o.name IN ('a', 'b')", ['t: id in 1,2', 'o: name in a,b']],
  ['SELECT 1 FROM t, o WHERE t.a < 1.5 AND o.amount = 2.5', ['t: all', 'o: amount = 250']],
  ["SELECT 1 FROM t, o WHERE t.ts >= '2020-01-01' AND t.ok = true", ['t: ts >= 1577836800000000 & ok = true', 'o: all']],
  ['SELECT 1 FROM t LEFT JOIN o ON o.tid = t.id AND o.oid = 1 AND t.a = 2 WHERE t.b = 3', ['t: b = 3', 'o: oid = 1']],
  ['SELECT 1 FROM t LEFT JOIN o ON o.tid = t.id WHERE o.oid IS NULL AND o.tid = 1', ['t: all', 'o: all']],
  ['SELECT 1 FROM t RIGHT JOIN o ON o.oid = 1 AND t.a = 2 WHERE o.tid = 4 AND t.b = 3', ['t: a = 2', 'o: tid = 4']],
  ['SELECT 1 FROM t FULL JOIN o ON o.oid = 1 AND t.a = 2 WHERE o.tid = 4 AND t.b = 3', ['t: all', 'o: all']],
  [
    'SELECT 1 FROM t LEFT JOIN (o JOIN o p ON o.oid = 1 AND p.oid = 2) ON o.tid = t.id WHERE t.a = 1 AND o.tid = 3',
    ['t: a = 1', 'o: oid = 1 | oid = 2'],
  ],
  ['SELECT 1 FROM t x, t y WHERE x.id = 1 AND y.id = 2', ['t: id = 1 | id = 2']],
  ['SELECT 1 FROM t x, t y WHERE x.id = 1', ['t: all']],
  ['SELECT (SELECT count(*) FROM o WHERE o.tid = t.id AND t.a = 1 AND o.oid = 2) FROM t', ['t: all', 'o: oid = 2']],
  ['WITH w AS (SELECT * FROM t WHERE id = 1) SELECT 1 FROM w, o WHERE w.a = 2', ['t: id = 1', 'o: all']],
  ['SELECT n FROM v, o WHERE v.id = 1', ['t: a > 0', 'o: all']],
  ['SELECT id FROM t WHERE id = 1 UNION SELECT oid FROM o WHERE oid = 2', ['t: id = 1', 'o: oid = 2']],
  ['SELECT 1 FROM t, o WHERE t.id = 1 OR o.oid = 2', ['t: all', 'o: all']],
  ['SELECT 1 FROM t, o WHERE NOT t.id = 1 AND t.id <> 3 AND t.a + 1 = 2 AND t.id = o.oid', ['t: all', 'o: all']],
  ['SELECT 1 FROM t, o WHERE t.a = 99999999999 AND t.x = 1.5 AND t.b IN (1, 2.5)', ['t: x = 1.5', 'o: all']],
  ['SELECT 1 FROM t, o WHERE t.id = NULL', ['t: all', 'o: all']],
  ["SELECT s.row_id FROM vector_search('t', 'e', '[0,2]', 1) s, t WHERE t.id = 1", ['t: all']],
  ['SELECT sum(id) OVER () FROM t WHERE id > 1 AND _seq > 5 AND _deleted = false', ['t: id > 1 & _seq > 5']],
])('%s', (query, expected) => {
  expect(checks(query)).toEqual(expected);
});

test('parameters are values too', () => {
  expect(checks('SELECT 1 FROM t, o WHERE t.id = $1 AND o.name > $2', [7n, 'q'])).toEqual(['t: id = 7', 'o: name > q']);
});
