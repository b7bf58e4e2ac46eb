import { isWordAt, type Scanner, wordHash } from './scanner.ts';

/**
 * What a word means to the lifting of literals:
 * - `select`, `insert`, `update`, `delete`, `with`: begin a statement; `where`, `values`, `set`, `from`, `distinct`, `as`: themselves
 * - `clause`: begins a clause whose literals stay
 * - `operator`: an operand follows; `infix`: the same, but a name where an operand is expected; `neutral`: changes nothing
 * - `name-next`: a table name follows; `fixing`: the literals in the parentheses right behind it stay
 * - `name`: everything else: names, types, functions, keywords that end an operand
 */
export type LiftRole =
  | 'select'
  | 'insert'
  | 'update'
  | 'delete'
  | 'with'
  | 'where'
  | 'values'
  | 'set'
  | 'from'
  | 'distinct'
  | 'as'
  | 'clause'
  | 'operator'
  | 'infix'
  | 'neutral'
  | 'name-next'
  | 'fixing'
  | 'name';

/**
 * All but `values`, `set` and the infix and fixing words are reserved in PostgreSQL: unquoted they are never names. `fixing` are
 * the types that are no functions, so that their parentheses hold modifiers, calls whose grammar wants a constant, FILE, and FILTER
 * and OVER, which belong to the select list.
 */
const WORDS: Readonly<Partial<Record<LiftRole, string>>> = {
  select: 'select table',
  insert: 'insert',
  update: 'update',
  delete: 'delete',
  with: 'with',
  where: 'where',
  values: 'values',
  set: 'set',
  from: 'from',
  distinct: 'distinct',
  as: 'as',
  clause: 'group order having limit offset fetch for on using union intersect except returning window join',
  operator: 'and or when then else case in',
  infix: 'like ilike between similar',
  neutral: 'not symmetric asymmetric',
  'name-next': 'into only',
  fixing:
    'bit char character varchar nchar national decimal dec numeric float timestamp time interval varying precision zone ' +
    'extract current_timestamp current_time localtime localtimestamp file filter over xmltable json_table',
};

interface Entry {
  readonly word: string;
  readonly role: LiftRole;
}

function table(): ReadonlyMap<number, Entry> {
  const entries = new Map<number, Entry>();
  for (const [role, words] of Object.entries(WORDS) as [LiftRole, string][]) {
    for (const word of words.split(' ')) entries.set(wordHash(word), { word, role });
  }
  return entries;
}

const ENTRIES: ReadonlyMap<number, Entry> = table();

/** The role of the word at which the scanner stands. */
export function liftRole(scanner: Scanner): LiftRole {
  const entry = ENTRIES.get(scanner.hash);
  if (entry === undefined || entry.word.length !== scanner.end - scanner.start) return 'name';
  return isWordAt(scanner.text, scanner.start, entry.word) ? entry.role : 'name';
}
