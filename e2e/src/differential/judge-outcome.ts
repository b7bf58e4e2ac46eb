import { cellToText, type DataType } from '@kalamdb/protocol';
import type { Outcome } from './outcome.ts';

/** What PostgreSQL made of a query: texts, as it prints them. */
export type JudgeOutcome =
  | { readonly kind: 'rows'; readonly rows: readonly (readonly (string | null)[])[] }
  /** `state`: the SQLSTATE. */
  | { readonly kind: 'error'; readonly state: string };

/** Numbers that computed in another precision are the same when they differ by no more, as a part of their size. */
const NUMBER_TOLERANCE = 1e-5;

/** The text of a generated query as PostgreSQL reads it: the same types under its names. */
export function postgresText(sql: string): string {
  return sql
    .replace(/\bDOUBLE\b/g, 'DOUBLE PRECISION')
    .replace(/\bFLOAT\b/g, 'REAL')
    .replace(/\bDATETIME\b/g, 'TIMESTAMP')
    .replace(/\bBYTES\b/g, 'BYTEA');
}

/** What an answer differs in from PostgreSQL's; its first words name the kind of difference. Names and types are not compared. */
export function judgeDifference(own: Outcome, judge: JudgeOutcome, isOrdered: boolean): string | undefined {
  if (own.kind === 'error' && judge.kind === 'error') return undefined;
  if (own.kind === 'error') return `only KalamDB refuses ${own.code}: (${own.message})`;
  if (judge.kind === 'error') return `only PostgreSQL refuses ${judge.state}:`;
  if (own.rows.length !== judge.rows.length) return `number of rows: ${own.rows.length} and ${judge.rows.length}`;
  const texts = own.rows.map((row) => own.types.map((type, index) => canonical(textOf(row[index] ?? null, type), type)));
  const wanted = judge.rows.map((row) => own.types.map((type, index) => canonical(row[index] ?? null, type)));
  const [ownRows, judgeRows] = isOrdered ? [texts, wanted] : [inSomeOrder(texts), inSomeOrder(wanted)];
  for (const [index, row] of ownRows.entries()) {
    for (const [column, type] of own.types.entries()) {
      const [one, two] = [row[column] ?? null, judgeRows[index]?.[column] ?? null];
      if (!isSame(one, two, type)) return `values of ${type.kind}: ${one} and ${two} in row ${index + 1}`;
    }
  }
  return undefined;
}

function textOf(cell: Parameters<typeof cellToText>[0] | null, type: DataType): string | null {
  return cell === null ? null : cellToText(cell, type);
}

/** One spelling for values that the two print differently. */
function canonical(text: string | null, { kind }: DataType): string | null {
  if (text === null) return null;
  if (kind === 'boolean') return text.startsWith('t') ? 'true' : 'false';
  if (kind === 'timestamp' || kind === 'datetime' || kind === 'time')
    return text
      .replace('T', ' ')
      .replace(/Z$|\+00$/, '')
      .replace(/(\.\d*?)0+$/, '$1')
      .replace(/\.$/, '');
  if (kind === 'json') return sortedJson(text);
  if (kind === 'bigint' && /^\d+\.0*$/.test(text)) return text.replace(/\..*/, '');
  return text;
}

/** A document without blanks, its keys in order; a text that is none stays as it is. */
function sortedJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), (_, value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
    );
  } catch {
    return text;
  }
}

function isSame(one: string | null, two: string | null, { kind }: DataType): boolean {
  if (one === two) return true;
  if (one === null || two === null) return false;
  if (kind !== 'double' && kind !== 'float' && kind !== 'decimal') return false;
  const [a, b] = [Number(one), Number(two)];
  return Math.abs(a - b) <= NUMBER_TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b));
}

function inSomeOrder(rows: readonly (readonly (string | null)[])[]): readonly (readonly (string | null)[])[] {
  const coarse = (cell: string | null): string => {
    const number = cell === null || cell.trim() === '' ? Number.NaN : Number(cell);
    if (Number.isNaN(number)) return String(cell);
    return Number.isSafeInteger(number) ? String(number) : number.toPrecision(4);
  };
  return rows
    .map((row) => ({ row, key: row.map(coarse).join('|') }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ row }) => row);
}
