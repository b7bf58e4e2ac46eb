import { type FromItem, fromItems } from './from-items.ts';
import { SqlWords } from './sql-words.ts';

/** The key that a table of the corpus gets when it has none: its last column. */
const KEY_COLUMN = 'rowkey BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()';

/** A statement in the dialect. */
export interface Translation {
  readonly sql: string;
  /** What the dialect does not have and the statement therefore lost; such a record is not counted as passed. */
  readonly lost: string | undefined;
}

/**
 * Turns statements of the corpus into KalamDB's dialect. Every table here has a primary key, so
 *
 * - `CREATE TABLE t(a INTEGER)` gets one more column at its end, `rowkey BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()`, unless it
 *   names a PRIMARY KEY of its own;
 * - `INSERT INTO t VALUES …` and `INSERT INTO t SELECT …` get the list of the columns that the corpus knows of;
 * - `*` and `t.*` in a select list become those columns, for each table of the same FROM (here `*` has `_seq` and `_deleted` too);
 *   views and subqueries beside it become `alias.*`.
 *
 * The dialect asks for a WHERE clause where everything is changed, so `UPDATE t SET a = 1` and `DELETE FROM t` get `WHERE true`.
 * Of a column that is set twice, which PostgreSQL refuses, the last value counts; what follows in the file relies on that.
 * It has no UNIQUE but the key and no secondary indexes: UNIQUE is taken out of CREATE TABLE, and CREATE INDEX, DROP INDEX and REINDEX
 * become nothing; the translation says so.
 *
 * Nothing else is changed: what the corpus says is what runs. NATURAL JOIN is not translated (both sides have the key).
 * The object remembers the tables of one file.
 */
export class DialectTranslation {
  readonly #columns = new Map<string, readonly string[]>();
  /** Columns with their tables' names before them. */
  readonly #integers = new Set<string>();
  #lost: string | undefined;

  /** The statement, or statements, in the dialect; '' when nothing of it is left. */
  translate(sql: string): Translation {
    this.#lost = undefined;
    const words = new SqlWords(sql);
    let start = 0;
    for (let at = 0; at <= words.length; at++) {
      if (at < words.length && words.text(at) !== ';') continue;
      this.#statement(words, start, at);
      start = at + 1;
    }
    return { sql: words.joined(), lost: this.#lost };
  }

  /** Whether a column was made as INTEGER; names are in lower case. */
  isInteger(table: string, column: string): boolean {
    return this.#integers.has(`${table}.${column}`);
  }

  #statement(words: SqlWords, start: number, end: number): void {
    const first = words.upper(start);
    const second = words.upper(start + 1);
    if (second === 'INDEX' || (second === 'UNIQUE' && words.upper(start + 2) === 'INDEX') || first === 'REINDEX') {
      this.#lost = 'the dialect has no secondary indexes';
      for (let at = start; at <= end; at++) words.replace(at, '');
      return;
    }
    if (first === 'CREATE' && second === 'TABLE') this.#createTable(words, start + 2, end);
    if (first === 'DROP' && second === 'TABLE') this.#columns.delete(words.name(words.upper(start + 2) === 'IF' ? start + 4 : start + 2));
    if (first === 'INSERT' && second === 'INTO') this.#insert(words, start + 2);
    if ((first === 'UPDATE' || first === 'DELETE') && !hasWhere(words, start, end)) {
      words.replace(end - 1, `${words.text(end - 1)} WHERE true`);
    }
    if (first === 'UPDATE') this.#setOnce(words, start, end);
    for (let at = start; at < end; at++) if (words.text(at) === '*') this.#star(words, at);
  }

  #createTable(words: SqlWords, start: number, end: number): void {
    const nameAt = words.upper(start) === 'IF' ? start + 3 : start;
    const open = nameAt + 1;
    const close = words.closing(open);
    if (words.text(open) !== '(' || close >= end) return;
    const columns: string[] = [];
    let isKeyed = false;
    let startsPiece = true;
    for (let at = open + 1; at < close; at++) {
      if (words.upper(at) === 'PRIMARY' && words.upper(at + 1) === 'KEY') isKeyed = true;
      if (words.upper(at) === 'UNIQUE' && words.text(at + 1) !== '(') {
        words.replace(at, '');
        this.#lost = 'the dialect has no UNIQUE';
      }
      if (startsPiece && !/^(CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN)$/.test(words.upper(at))) {
        columns.push(words.text(at));
        if (/^INT(EGER)?$/.test(words.upper(at + 1))) this.#integers.add(`${words.name(nameAt)}.${words.name(at)}`);
      }
      startsPiece = words.text(at) === ',';
      if (words.text(at) === '(') at = words.closing(at);
    }
    this.#columns.set(words.name(nameAt), columns);
    if (!isKeyed) words.replace(close, `, ${KEY_COLUMN})`);
  }

  #insert(words: SqlWords, nameAt: number): void {
    const columns = this.#columns.get(words.name(nameAt));
    if (columns === undefined || words.text(nameAt + 1) === '(') return;
    words.replace(nameAt, `${words.text(nameAt)}(${columns.join(', ')})`);
  }

  #setOnce(words: SqlWords, start: number, end: number): void {
    const last = new Map<string, number>();
    for (let at = start; at < end && words.upper(at) !== 'WHERE'; at++) {
      if (words.text(at) === '(') at = words.closing(at);
      if (words.text(at) !== '=' || !/^(SET|,)$/.test(words.upper(at - 2))) continue;
      const earlier = last.get(words.name(at - 1));
      last.set(words.name(at - 1), at - 1);
      if (earlier === undefined) continue;
      this.#lost = 'not PostgreSQL: a column that is set twice';
      for (let gone = earlier; gone === earlier || words.text(gone - 1) !== ','; gone++) words.replace(gone, '');
    }
  }

  #star(words: SqlWords, at: number): void {
    const isQualified = words.text(at - 1) === '.';
    const next = words.upper(at + 1);
    if (next !== '' && next !== ',' && next !== 'FROM' && next !== ')' && next !== ';') return;
    if (!isQualified && !/^(SELECT|DISTINCT|ALL|,)$/.test(words.upper(at - 1))) return;
    const items = fromItems(words, at);
    const only = isQualified ? words.name(at - 2) : undefined;
    const meant = items.filter(({ alias }) => only === undefined || alias.toLowerCase() === only);
    if (!meant.some(({ table }) => table !== undefined && this.#columns.has(table))) return;
    words.replace(at, meant.map((item) => this.#spread(item)).join(', '));
    if (isQualified) {
      words.replace(at - 1, '');
      words.replace(at - 2, '');
    }
  }

  #spread({ table, alias }: FromItem): string {
    const columns = table === undefined ? undefined : this.#columns.get(table);
    return columns === undefined ? `${alias}.*` : columns.map((column) => `${alias}.${column}`).join(', ');
  }
}

function hasWhere(words: SqlWords, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (words.upper(at) === 'WHERE') return true;
    if (words.text(at) === '(') at = words.closing(at);
  }
  return false;
}
