import { type ErrorPosition, type KalamError, kalamError } from '@kalamdb/protocol';

/** Where something stands in the statement's text: 0-based offset in UTF-16 units. */
export type Position = number;

/** Line and column of an offset (UTF-16 units) in a statement's text; an offset behind the end means the end. */
export function errorPosition(text: string, offset: number): ErrorPosition {
  const at = Math.max(0, Math.min(offset, text.length));
  let line = 1;
  let lineStart = 0;
  for (let index = text.indexOf('\n'); index !== -1 && index < at; index = text.indexOf('\n', index + 1)) {
    line += 1;
    lineStart = index + 1;
  }
  return { offset: at, line, column: at - lineStart + 1 };
}

/** A SYNTAX_ERROR that points at `offset` of `text`. */
export function syntaxError(text: string, offset: number, reason: string): KalamError {
  return kalamError('SYNTAX_ERROR', { reason }, { position: errorPosition(text, offset) });
}

/**
 * Refuses what no statement may contain: a NUL, which would end the text early for a C parser, and lone surrogates, which have no
 * UTF-8 form. Throws SYNTAX_ERROR.
 */
export function checkText(text: string): void {
  const nul = text.indexOf('\0');
  if (nul !== -1) throw syntaxError(text, nul, 'the statement contains a NUL character');
  const surrogate = text.search(/\p{Surrogate}/u);
  if (surrogate !== -1) throw syntaxError(text, surrogate, 'the statement contains half of a surrogate pair');
}
