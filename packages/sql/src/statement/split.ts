import { checkText } from '../lexer/position.ts';
import { Scanner } from '../lexer/scanner.ts';

/** One statement of a batch. */
export interface SqlPiece {
  /** Without white space and comments at its ends, and without the `;`. */
  readonly text: string;
  /** Where it starts in the batch, in UTF-16 units. */
  readonly offset: number;
}

/**
 * Cuts a batch at every `;` that is not in a text, a quoted name or a comment. Pieces without a token are left out, so the result may
 * be empty. Throws UNTERMINATED_STRING, UNTERMINATED_COMMENT, and SYNTAX_ERROR for characters that no statement may contain.
 */
export function splitStatements(sql: string): readonly SqlPiece[] {
  for (const steps = splitStatementsSteps(sql); ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Tokens that one step of {@link splitStatementsSteps} reads. */
const STEP_TOKENS = 256;

/** {@link splitStatements} in short steps, for long batches. */
export function* splitStatementsSteps(sql: string): Generator<undefined, readonly SqlPiece[]> {
  checkText(sql);
  const pieces: SqlPiece[] = [];
  const scanner = new Scanner(sql);
  let start = -1;
  let end = 0;
  for (let tokens = 1; ; tokens++) {
    const kind = scanner.next();
    const separator = kind === 'symbol' && scanner.end === scanner.start + 1 && sql.charCodeAt(scanner.start) === 59;
    if (kind === 'end' || separator) {
      if (start !== -1) pieces.push({ text: sql.slice(start, end), offset: start });
      if (kind === 'end') return pieces;
      start = -1;
    } else {
      if (start === -1) start = scanner.start;
      end = scanner.end;
    }
    if (tokens % STEP_TOKENS === 0) yield;
  }
}
