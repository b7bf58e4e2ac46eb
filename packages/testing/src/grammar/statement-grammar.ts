import type { SeededRandom } from '../seeded-random.ts';
import {
  alterTableStatement,
  backupStatement,
  createTableStatement,
  dropTableStatement,
  namespaceStatement,
  otherStatement,
  placeStatement,
  runningStatement,
  showStatement,
  storageStatement,
  userStatement,
  viewStatement,
} from './catalog-statements.ts';
import { hostileStatement } from './hostile-statements.ts';
import { mutated, rewritten } from './mutate.ts';
import { deleteStatement, insertStatement, selectStatement, transactionStatement, updateStatement } from './queries.ts';

/** A text made to be sent as one request, and what it was meant to be. */
export interface GrammarStatement {
  /** `valid`: the grammar allows it, though it may fail; `near`: a mutation of one; `hostile`: made to do harm. */
  readonly flavour: 'valid' | 'near' | 'hostile';
  readonly sql: string;
  /** For `$1 …`. */
  readonly parameters: readonly (string | number | boolean | null)[];
}

const FORMS: readonly ((random: SeededRandom) => string)[] = [
  selectStatement,
  selectStatement,
  selectStatement,
  insertStatement,
  insertStatement,
  insertStatement,
  updateStatement,
  updateStatement,
  deleteStatement,
  transactionStatement,
  transactionStatement,
  createTableStatement,
  createTableStatement,
  alterTableStatement,
  alterTableStatement,
  dropTableStatement,
  viewStatement,
  namespaceStatement,
  userStatement,
  showStatement,
  storageStatement,
  placeStatement,
  backupStatement,
  runningStatement,
  otherStatement,
];

const PARAMETERS: readonly GrammarStatement['parameters'][number][] = [
  null,
  true,
  0,
  1,
  -1,
  2.5,
  1e300,
  '',
  'a',
  "it's",
  '1',
  'x'.repeat(3000),
  '\u0000',
];

/** Draws the next statement; the state of `random` determines it. */
export function nextGrammarStatement(random: SeededRandom): GrammarStatement {
  const valid = (): string => random.pick(FORMS)(random);
  const kind = random.integer(10);
  const parametersOf = (sql: string): GrammarStatement['parameters'] =>
    sql.includes('$1') === (random.integer(20) !== 0) ? [random.pick(PARAMETERS)] : [];
  if (kind < 6) {
    const sql = rewritten(random, valid());
    return { flavour: 'valid', sql, parameters: parametersOf(sql) };
  }
  const sql = kind < 8 ? mutated(random, valid(), valid) : hostileStatement(random);
  return { flavour: kind < 8 ? 'near' : 'hostile', sql, parameters: parametersOf(sql) };
}
