import { kalamError } from '@kalamdb/protocol';
import { errorPosition, syntaxError } from '../lexer/position.ts';
import { Scanner } from '../lexer/scanner.ts';
import type { StatementClass, StatementKind } from './ast.ts';
import { STATEMENT_RULES, type StatementRule, UNSUPPORTED_WORDS } from './statement-rules.ts';

/** What a statement is, known from its first words. */
export interface ClassifiedStatement extends StatementClass {
  /** The kind that the parser will give it. `select` also stands for WITH, VALUES and TABLE queries. */
  readonly kind: StatementKind;
}

const STATEMENT_TEXT_MAX = 500;
const FOUND_TEXT_MAX = 64;

/**
 * Names a statement from its leading keywords, without parsing it. Throws EMPTY_SQL when there is no token, UNSUPPORTED_STATEMENT for
 * statements of SQL that the dialect does not have, and SYNTAX_ERROR for what begins no statement.
 */
export function classifyStatement(text: string): ClassifiedStatement {
  const scanner = new Scanner(text);
  const first = nextWord(scanner);
  const set = STATEMENT_RULES.get(first);
  if (set === undefined) throw UNSUPPORTED_WORDS.has(first) ? unsupported(text) : unknown(text);
  const words = [first];
  while (words.length < set.wordsMax) words.push(nextWord(scanner));
  const rule = set.rules.find((candidate) => matches(candidate, words));
  if (rule === undefined) throw UNSUPPORTED_WORDS.has(first) || isStatementOfSql(words) ? unsupported(text) : unknown(text);
  if (rule.refuse !== undefined) throw syntaxError(text, firstToken(text), rule.refuse);
  return rule;
}

function matches(rule: StatementRule, words: readonly string[]): boolean {
  return rule.words.every((word, index) => word === words[index] || (word === '*' && words[index] !== ''));
}

/** The next token: a word in lower case, `"` for quoted names and texts, nothing at the end or before a `;`, else the token itself. */
function nextWord(scanner: Scanner): string {
  const kind = scanner.next();
  if (kind === 'quoted' || kind === 'string') return '"';
  const word = scanner.text.slice(scanner.start, scanner.end);
  return kind === 'word' ? word.toLowerCase() : word === ';' ? '' : word;
}

function firstToken(text: string): number {
  const scanner = new Scanner(text);
  scanner.next();
  return scanner.start;
}

/** CREATE, ALTER, DROP and SHOW of things that only other databases have. */
function isStatementOfSql(words: readonly string[]): boolean {
  const first = words[0];
  const second = words[1] ?? '';
  const isDdl = first === 'create' || first === 'alter' || first === 'drop' || first === 'show';
  return (isDdl && /^[a-z]/.test(second)) || first === 'execute';
}

function unsupported(text: string): Error {
  const position = errorPosition(text, firstToken(text));
  const statement = text.trim().slice(0, STATEMENT_TEXT_MAX);
  return kalamError('UNSUPPORTED_STATEMENT', { statement }, { position });
}

function unknown(text: string): Error {
  const scanner = new Scanner(text);
  if (scanner.next() === 'end') return kalamError('EMPTY_SQL');
  const position = errorPosition(text, scanner.start);
  const found = text.slice(scanner.start, scanner.end).slice(0, FOUND_TEXT_MAX);
  return syntaxError(
    text,
    scanner.start,
    `Expected: an SQL statement, found: ${found} at Line: ${position.line}, Column: ${position.column}`,
  );
}
