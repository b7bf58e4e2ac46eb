/** A form of SQL that PostgreSQL refuses, and what to say of it. */
interface ForeignForm {
  readonly pattern: RegExp;
  readonly reason: string;
}

const FOREIGN_FORMS: readonly ForeignForm[] = [
  { pattern: /\bIN\s*\(\s*\)/i, reason: 'IN with an empty list' },
  { pattern: /\b(NOT\s+)?IN\s+[A-Za-z_]\w*\b/i, reason: 'IN with the name of a table' },
  { pattern: /\bNOT\s+INDEXED\b|\bINDEXED\s+BY\b/i, reason: 'INDEXED BY' },
  { pattern: /\bgroup_concat\s*\(/i, reason: 'the function group_concat' },
  { pattern: /\btotal\s*\(/i, reason: 'the function total' },
  { pattern: /\bcount\s*\(\s*DISTINCT\s*\*\s*\)/i, reason: 'count(DISTINCT *)' },
  { pattern: /\bINSERT\s+OR\b|\bREPLACE\s+INTO\b/i, reason: 'INSERT OR REPLACE' },
];

/** A text that is no number, or a string of bits, among the values of a table's column. */
const TEXT_IN_COLUMN = /(?:x'[^']*'|'[^']*[^\d\s'][^']*')\s+(?:NOT\s+)?IN\s*\(\s*SELECT\s+(\w+)\.(\w+)\s+FROM\s+\1\s*\)/i;

/** Whether a column of the corpus holds integers. Names are in lower case. */
export type IsIntegerColumn = (table: string, column: string) => boolean;

/** Why no PostgreSQL would accept a statement of the corpus; `undefined` when it would. */
export function foreignForm(sql: string, isInteger: IsIntegerColumn): string | undefined {
  const [, table = '', column = ''] = TEXT_IN_COLUMN.exec(sql) ?? [];
  if (isInteger(table.toLowerCase(), column.toLowerCase())) return 'a text or a string of bits among integers';
  const text = sql.replace(/'(?:[^']|'')*'/g, "''");
  return FOREIGN_FORMS.find(({ pattern }) => pattern.test(text))?.reason;
}
