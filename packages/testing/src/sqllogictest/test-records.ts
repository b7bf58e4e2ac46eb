/** Whether a record is for a database: `skipif name` is for all others, `onlyif name` for it alone. */
export interface RecordCondition {
  readonly rule: 'skipif' | 'onlyif';
  /** Lower case. */
  readonly database: string;
}

/** The order in which results are compared: as they came, by rows, or all values as one list. */
export type ResultSort = 'nosort' | 'rowsort' | 'valuesort';

interface RecordPlace {
  /** 1-based line of the record's head. */
  readonly line: number;
  readonly conditions: readonly RecordCondition[];
}

/** One record of a sqllogictest file. */
export type TestRecord = RecordPlace &
  (
    | { readonly kind: 'statement'; readonly expected: 'ok' | 'error'; readonly sql: string }
    | {
        readonly kind: 'query';
        /** One letter per column: `I` integer, `R` number with three digits, `T` text. */
        readonly types: string;
        readonly sort: ResultSort;
        /** Queries of a file that share a label have the same result. */
        readonly label: string | undefined;
        readonly sql: string;
        /** Lines after `----`: the values, or one line with their count and hash; `undefined` without `----`. */
        readonly expected: readonly string[] | undefined;
      }
    | { readonly kind: 'halt' }
    /** From here on longer results are written as a hash; of use to whoever writes files, checked by nobody. */
    | { readonly kind: 'hash-threshold'; readonly valuesMax: number }
  );

/** A file is not in the format. */
export class TestFormatError extends Error {
  readonly line: number;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.name = 'TestFormatError';
    this.line = line;
  }
}

/**
 * Reads the sqllogictest format (https://sqlite.org/sqllogictest): records of lines between blank lines, `#` comments at the
 * start of a line, conditions before a record's head. Throws {@link TestFormatError}.
 */
export function parseTestFile(text: string): readonly TestRecord[] {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  const records: TestRecord[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (isFiller(line)) {
      at += 1;
      continue;
    }
    const conditions: RecordCondition[] = [];
    for (let condition = conditionOf(lines[at]); condition !== undefined; condition = conditionOf(lines[at])) {
      conditions.push(condition);
      at += 1;
      while (at < lines.length && (lines[at] ?? '').startsWith('#')) at += 1;
    }
    const end = endOfRecord(lines, at);
    records.push(recordOf(lines.slice(at, end), { line: at + 1, conditions }));
    at = end;
  }
  return records;
}

/** Whether a record with these conditions is for the database. */
export function isFor(conditions: readonly RecordCondition[], database: string): boolean {
  return conditions.every(({ rule, database: named }) => (rule === 'onlyif') === (named === database));
}

const isFiller = (line: string): boolean => line.trim() === '' || line.startsWith('#');

function conditionOf(line: string | undefined): RecordCondition | undefined {
  const [, rule, database] = /^(skipif|onlyif)\s+(\w+)/.exec(line ?? '') ?? [];
  if (database === undefined) return undefined;
  return { rule: rule === 'skipif' ? 'skipif' : 'onlyif', database: database.toLowerCase() };
}

function endOfRecord(lines: readonly string[], start: number): number {
  const blank = lines.findIndex((line, index) => index >= start && line.trim() === '');
  return blank < 0 ? lines.length : blank;
}

function recordOf(lines: readonly string[], place: RecordPlace): TestRecord {
  const [head = '', ...body] = lines;
  const [kind, ...words] = head.replace(/#.*$/, '').trim().split(/\s+/);
  const separator = body.indexOf('----');
  const sql = (separator < 0 ? body : body.slice(0, separator)).join('\n');
  switch (kind) {
    case 'statement': {
      const [expected] = words;
      if (expected !== 'ok' && expected !== 'error') throw new TestFormatError(place.line, `a statement is ok or error, not ${expected}`);
      return { ...place, kind, expected, sql: withText(sql, place.line) };
    }
    case 'query': {
      const [types = '', sort = 'nosort', label] = words;
      if (!/^[IRT]+$/.test(types)) throw new TestFormatError(place.line, `'${types}' are no column types`);
      if (sort !== 'nosort' && sort !== 'rowsort' && sort !== 'valuesort') throw new TestFormatError(place.line, `'${sort}' is no order`);
      return {
        ...place,
        kind,
        types,
        sort,
        label,
        sql: withText(sql, place.line),
        expected: separator < 0 ? undefined : body.slice(separator + 1),
      };
    }
    case 'halt':
      return { ...place, kind };
    case 'hash-threshold': {
      const valuesMax = Number(words[0]);
      if (!Number.isInteger(valuesMax)) throw new TestFormatError(place.line, `'${words[0]}' is no number of values`);
      return { ...place, kind, valuesMax };
    }
    default:
      throw new TestFormatError(place.line, `'${kind}' is no kind of record`);
  }
}

function withText(sql: string, line: number): string {
  if (sql.trim() === '') throw new TestFormatError(line, 'a record without SQL');
  return sql;
}
