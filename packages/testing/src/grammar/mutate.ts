import type { SeededRandom } from '../seeded-random.ts';
import { HOSTILE_NAMES, oddLiteral, quotedName } from './values.ts';

const TOKEN = /\s+|'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|[^\w\s]/gu;

const WORDS: readonly string[] = [
  'SELECT',
  'FROM',
  'WHERE',
  'TABLE',
  'AS',
  'ON',
  'NOT',
  'NULL',
  'AND',
  'VALUES',
  'SET',
  'RETURNING',
  'DISTINCT',
  'ALL',
  '*',
  '(',
  ')',
  ',',
  ';',
  '--',
  '/*',
  "'",
  '"',
  '$$',
  '$1',
  '::',
  '->',
  '=',
  '1',
  'g',
  'items',
  '.',
  'id',
  'x',
  '\u0000',
  '✓',
];

/** Statements that are nearly right: something is left out, doubled, swapped, replaced or put in. */
export function mutated(random: SeededRandom, sql: string, other: () => string): string {
  let tokens: string[] = sql.match(TOKEN) ?? [];
  for (let times = 1 + random.integer(2); times > 0 && tokens.length > 0; times--) {
    const at = random.integer(tokens.length);
    const token = tokens[at] ?? '';
    switch (random.integer(9)) {
      case 0:
        tokens.splice(at, 1);
        break;
      case 1:
        tokens.splice(at, 0, token);
        break;
      case 2: {
        const to = random.integer(tokens.length);
        tokens[at] = tokens[to] ?? '';
        tokens[to] = token;
        break;
      }
      case 3:
        tokens[at] = random.pick(WORDS);
        break;
      case 4:
        tokens.splice(at, 0, ` ${random.pick(WORDS)} `);
        break;
      case 5:
        tokens[at] = /^\w+$/.test(token) ? random.pick([oddLiteral(random), quotedName(random.pick(HOSTILE_NAMES))]) : token + token;
        break;
      case 6:
        tokens = tokens.slice(0, at);
        break;
      case 7:
        tokens[at] = token.slice(0, -1) + String.fromCharCode(random.integer(0x2100));
        break;
      default:
        tokens = [...tokens.slice(0, at), ...(other().match(TOKEN) ?? []).slice(random.integer(8))];
    }
  }
  return tokens.join('');
}

/** The same statement, written otherwise: comments, space and case that do not matter. */
export function rewritten(random: SeededRandom, sql: string): string {
  switch (random.integer(6)) {
    case 0:
      return sql.replaceAll(/ (?=(?:[^'"$]|'[^']*'|"[^"]*")*$)/g, ' /* c */ ');
    case 1:
      return `-- first\n${sql};`;
    case 2:
      return `${sql}  ;;\n`;
    case 3:
      return `\t${sql}`;
    default:
      return sql;
  }
}
