import type { SqlWords } from './sql-words.ts';

/** What a FROM clause reads from. */
export interface FromItem {
  /** A table's or a view's name in lower case; `undefined`: a subquery. */
  readonly table: string | undefined;
  /** As other clauses call it. */
  readonly alias: string;
}

const END = /^(WHERE|GROUP|ORDER|HAVING|LIMIT|OFFSET|UNION|EXCEPT|INTERSECT|WINDOW|;)$/;
const NO_ALIAS =
  /^(WHERE|GROUP|ORDER|HAVING|LIMIT|OFFSET|UNION|EXCEPT|INTERSECT|WINDOW|ON|USING|JOIN|INNER|LEFT|RIGHT|FULL|CROSS|NATURAL|,|\)|;|)$/;

/** The items of the FROM clause that belongs to the select list in which the word at `place` stands. */
export function fromItems(words: SqlWords, place: number): readonly FromItem[] {
  const start = fromAfter(words, place);
  const items: FromItem[] = [];
  let isExpected = true;
  let depth = 0;
  for (let at = start; at < words.length && !(depth === 0 && END.test(words.upper(at))); at++) {
    const text = words.upper(at);
    if (text === ')' && --depth < 0) break;
    if (isExpected && (text !== '(' || /^(SELECT|VALUES|WITH)$/.test(words.upper(at + 1)))) {
      const end = text === '(' ? words.closing(at) : words.text(at + 1) === '.' ? at + 2 : at;
      const { alias, next } = aliasAfter(words, end);
      items.push({ table: text === '(' ? undefined : words.name(end), alias: alias ?? words.text(end) });
      isExpected = false;
      at = next - 1;
      continue;
    }
    if (text === '(' && isExpected) depth += 1;
    else if (text === '(') at = words.closing(at);
    isExpected = text === ',' || text === 'JOIN' || (isExpected && text === '(');
  }
  return items;
}

function fromAfter(words: SqlWords, place: number): number {
  for (let at = place; at < words.length; at++) {
    if (words.text(at) === '(') at = words.closing(at);
    else if (words.text(at) === ')') break;
    else if (words.upper(at) === 'FROM') return at + 1;
  }
  return words.length;
}

function aliasAfter(words: SqlWords, end: number): { readonly alias: string | undefined; readonly next: number } {
  if (words.upper(end + 1) === 'AS') return { alias: words.text(end + 2), next: end + 3 };
  return NO_ALIAS.test(words.upper(end + 1)) ? { alias: undefined, next: end + 1 } : { alias: words.text(end + 1), next: end + 2 };
}
