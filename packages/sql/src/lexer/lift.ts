import { continuesName, isSpace } from './characters.ts';
import { type LiftRole, liftRole } from './lift-words.ts';
import { isPlainNumber, type LiteralKind, numberLiteral, stringValue } from './literal-value.ts';
import { Scanner } from './scanner.ts';

/** A literal that was taken out of a statement. */
export interface LiftedLiteral {
  readonly kind: Extract<LiteralKind, 'integer' | 'decimal' | 'string'>;
  /** The value: of a number with its sign, of a string without quotes and escapes. */
  readonly text: string;
}

/** A statement whose literals became parameters. */
export interface LiftedStatement {
  /** The text with `$n` for every literal, comments and white space between tokens reduced to one space. */
  readonly shape: string;
  /** In the order of their parameters; the first one is `$(clientParameters + 1)`. */
  readonly literals: readonly LiftedLiteral[];
}

/** `none`: literals stay, keywords may change that; `lift`: literals are lifted; `fixed`: they stay up to the closing parenthesis. */
type Zone = 'none' | 'lift' | 'fixed';

/**
 * Takes the literals out of VALUES, SET and WHERE of an INSERT, UPDATE, DELETE or SELECT, so that statements that differ only in
 * them share one shape and with it one plan. The shape, parsed with the literals as its parameters, means what `text` means: where
 * a constant is part of the meaning (typed literals, type modifiers, LIMIT, ORDER BY, keys of `->`, ESCAPE …) it stays, and where
 * this cannot be told from the tokens alone nothing is lifted. Other statements come back as they are.
 *
 * `clientParameters`: how many parameters the client sent. A text that names a later one is not lifted, so that the binder reports it.
 * Throws UNTERMINATED_STRING and UNTERMINATED_COMMENT only.
 *
 * Example: `DELETE FROM t WHERE a = -1 AND b = 'x'` is `DELETE FROM t WHERE a = $1 AND b = $2` with `-1` and `x`.
 */
export function liftLiterals(text: string, clientParameters: number): LiftedStatement {
  const lifter = openLifter(text, clientParameters, 'none');
  if (lifter === undefined) return { shape: text, literals: [] };
  if (lifter.run(Number.POSITIVE_INFINITY) === 'end') return { shape: lifter.shape, literals: lifter.literals };
  const plain = openLifter(text, clientParameters, 'fixed');
  plain?.run(Number.POSITIVE_INFINITY);
  return { shape: plain?.shape ?? text, literals: [] };
}

/** Tokens that one step of {@link liftLiteralsSteps} reads. */
const STEP_TOKENS = 256;

/** {@link liftLiterals} in short steps, for long texts. */
export function* liftLiteralsSteps(text: string, clientParameters: number): Generator<undefined, LiftedStatement> {
  const lifter = openLifter(text, clientParameters, 'none');
  if (lifter === undefined) return { shape: text, literals: [] };
  let at = lifter.run(STEP_TOKENS);
  for (; at === 'between'; at = lifter.run(STEP_TOKENS)) yield;
  if (at === 'end') return { shape: lifter.shape, literals: lifter.literals };
  const plain = openLifter(text, clientParameters, 'fixed');
  while (plain?.run(STEP_TOKENS) === 'between') yield;
  return { shape: plain?.shape ?? text, literals: [] };
}

/** `undefined`: the statement is not one whose literals are lifted. */
function openLifter(text: string, clientParameters: number, zone: Zone): Lifter | undefined {
  const lifter = new Lifter(text, clientParameters, text.includes('\0') ? 'fixed' : zone);
  return lifter.startsLiftable() ? lifter : undefined;
}

const NO_SIGN = -1;
/** A comment or more than a space lies between the sign and what follows; then it is not lifted. */
const SIGN_APART = -2;

class Lifter {
  shape = '';
  readonly literals: LiftedLiteral[] = [];
  readonly #scanner: Scanner;
  readonly #text: string;
  readonly #clientParameters: number;
  readonly #lifting: boolean;
  #zone: Zone;
  readonly #outerZones: Zone[] = [];
  /** VALUES, SET or a SELECT has been seen. */
  #inBody = false;
  #statement: LiftRole = 'name';
  /** Whether an operand, not an operator, comes next. */
  #operandNext = true;
  /** The role of the token before, when it was a word; a dot and `::` count as what a name follows. Behind it and AS keywords are names. */
  #previousRole: LiftRole | undefined;
  #afterClose = false;
  /** In a type name behind `::`. */
  #inType = false;
  /** Right of `->`. */
  #keyNext = false;
  /** Where a sign stands that could belong to the next number, or one of the two below. */
  #sign = NO_SIGN;
  #copied = 0;
  /** The token before was lifted: a parameter may be followed by what a literal may not. */
  #afterLifted = false;

  constructor(text: string, clientParameters: number, zone: Zone) {
    this.#text = text;
    this.#scanner = new Scanner(text);
    this.#clientParameters = clientParameters;
    this.#zone = zone;
    this.#lifting = zone !== 'fixed';
  }

  /** Reads the first token; whether it begins a statement whose literals are lifted. */
  startsLiftable(): boolean {
    const scanner = this.#scanner;
    scanner.next();
    this.#copied = scanner.start;
    if (scanner.kind === 'symbol') {
      this.#statement = 'select';
      this.#symbol();
      return this.#text.charCodeAt(scanner.start) === 40;
    }
    if (scanner.kind !== 'word') return false;
    const role = liftRole(scanner);
    this.#statement = role;
    this.#previousRole = role;
    return role === 'select' || role === 'insert' || role === 'update' || role === 'delete' || role === 'with';
  }

  /** Reads at most so many of the tokens that are left and tells where it stands; `refused`: what was lifted must not be. */
  run(tokensMax: number): 'between' | 'end' | 'refused' {
    const scanner = this.#scanner;
    let before = scanner.end;
    for (let left = tokensMax; left > 0; left--) {
      const kind = scanner.next();
      if (kind === 'end') {
        this.shape += this.#text.slice(this.#copied, before);
        return 'end';
      }
      if (scanner.start !== before) this.#blank(before, scanner.start);
      before = scanner.end;
      if (!this.#token()) return 'refused';
    }
    return 'between';
  }

  #token(): boolean {
    const scanner = this.#scanner;
    const afterLifted = this.#afterLifted;
    this.#afterLifted = false;
    switch (scanner.kind) {
      case 'word':
        this.#word();
        return true;
      case 'symbol':
        if (afterLifted && this.#selects()) return false;
        this.#symbol();
        return true;
      case 'operator':
        this.#operator();
        return true;
      case 'string':
        if (this.#afterClose && this.#lifting) return false;
        this.#string();
        break;
      case 'number':
        this.#number();
        break;
      case 'parameter':
        if (this.#lifting && !this.#isClientParameter()) return false;
        break;
      case 'invalid':
        if (this.#lifting) return false;
        break;
      default:
        break;
    }
    this.#endOperand();
    return true;
  }

  /** Whether the token is a dot or a bracket. */
  #selects(): boolean {
    const code = this.#text.charCodeAt(this.#scanner.start);
    return code === 46 || code === 91;
  }

  #endOperand(): void {
    this.#operandNext = false;
    this.#previousRole = undefined;
    this.#afterClose = false;
    this.#inType = this.#inType && this.#scanner.kind === 'quoted';
    this.#keyNext = false;
    this.#sign = NO_SIGN;
  }

  /** White space or comments lie between two tokens. */
  #blank(from: number, to: number): void {
    if (to === from + 1 && this.#text.charCodeAt(from) === 32) return;
    this.shape += `${this.#text.slice(this.#copied, from)} `;
    this.#copied = to;
    if (this.#sign !== NO_SIGN) this.#sign = SIGN_APART;
  }

  #word(): void {
    const scanner = this.#scanner;
    const previous = this.#previousRole;
    const role = previous === 'name-next' || previous === 'as' ? 'name' : liftRole(scanner);
    let operandNext = false;
    switch (role) {
      case 'operator':
        operandNext = true;
        break;
      case 'infix':
        operandNext = !this.#operandNext;
        break;
      case 'neutral':
        operandNext = this.#operandNext;
        break;
      case 'where':
        this.#enter('lift');
        operandNext = true;
        break;
      case 'values':
        if (this.#statement === 'insert') this.#enterBody();
        break;
      case 'set':
        if (this.#statement === 'update' && previous !== 'update') this.#enterBody();
        // DO UPDATE SET
        if (this.#statement === 'insert' && previous === 'update' && this.#inBody && this.#outerZones.length === 0) this.#enter('lift');
        break;
      case 'from':
        if (previous !== 'distinct') this.#enter('none');
        operandNext = previous === 'distinct';
        break;
      case 'as':
        this.#enter(this.#outerZones.length === 0 ? 'none' : 'fixed');
        break;
      case 'select':
        this.#inBody = true;
        this.#enter('none');
        break;
      case 'clause':
        this.#enter('none');
        break;
      default:
        break;
    }
    this.#inType = this.#inType && !operandNext;
    this.#operandNext = operandNext;
    this.#previousRole = role;
    this.#afterClose = false;
    this.#keyNext = false;
    this.#sign = NO_SIGN;
  }

  #enter(zone: Zone): void {
    if (this.#zone !== 'fixed') this.#zone = zone;
  }

  /** VALUES and SET begin the body of the statement once, and not in parentheses; elsewhere they are names. */
  #enterBody(): void {
    if (this.#outerZones.length > 0 || this.#inBody) return;
    this.#inBody = true;
    this.#enter('lift');
  }

  #symbol(): void {
    const scanner = this.#scanner;
    const code = this.#text.charCodeAt(scanner.start);
    const pair = scanner.end - scanner.start === 2;
    const opens = code === 40 || code === 91;
    const closes = code === 41 || code === 93;
    if (opens) {
      this.#outerZones.push(this.#zone);
      if (this.#previousRole === 'fixing' || this.#inType || this.#keyNext) this.#zone = 'fixed';
    } else if (closes) {
      this.#zone = this.#outerZones.pop() ?? 'fixed';
    }
    const dot = code === 46 && !pair;
    const cast = code === 58 && pair;
    this.#inType = cast || (this.#inType && dot);
    this.#operandNext = opens || code === 44 || code === 59;
    this.#previousRole = dot || cast ? 'name-next' : undefined;
    this.#afterClose = code === 41;
    this.#keyNext = false;
    this.#sign = NO_SIGN;
  }

  #operator(): void {
    const scanner = this.#scanner;
    const text = this.#text;
    const length = scanner.end - scanner.start;
    const minus = text.charCodeAt(scanner.start) === 45;
    const key = minus && length > 1 && text.charCodeAt(scanner.start + 1) === 62;
    this.#keyNext = key || (this.#keyNext && minus);
    this.#sign = minus && length === 1 && this.#operandNext ? scanner.start : NO_SIGN;
    this.#operandNext = true;
    this.#previousRole = undefined;
    this.#afterClose = false;
    this.#inType = false;
  }

  #string(): void {
    if (this.#zone !== 'lift' || !this.#operandNext || this.#keyNext) return;
    const { start, end, form } = this.#scanner;
    const value = stringValue(this.#text, start, end, form);
    if (value !== undefined) this.#lift({ kind: 'string', text: value }, start, end);
  }

  #number(): void {
    if (this.#zone !== 'lift' || !this.#operandNext || this.#keyNext) return;
    const { start, end } = this.#scanner;
    const raw = this.#text.slice(start, end);
    if (!isPlainNumber(raw)) return;
    const literal = numberLiteral(raw);
    if (this.#sign === NO_SIGN) {
      this.#lift(literal, start, end);
    } else if (this.#sign !== SIGN_APART && this.#endsOperand(end)) {
      this.#lift(literal.text === '0' ? literal : { kind: literal.kind, text: `-${literal.text}` }, this.#sign, end);
    }
  }

  /** Whether no cast or subscript follows, which would bind closer than the sign; before a comment, in doubt, no. */
  #endsOperand(end: number): boolean {
    const text = this.#text;
    let index = end;
    while (isSpace(text.charCodeAt(index))) index += 1;
    const code = text.charCodeAt(index);
    const comment = (code === 45 && text.charCodeAt(index + 1) === 45) || (code === 47 && text.charCodeAt(index + 1) === 42);
    return code !== 58 && code !== 91 && !comment;
  }

  #lift(literal: LiftedLiteral, from: number, end: number): void {
    const text = this.#text;
    this.literals.push(literal);
    this.#afterLifted = true;
    const before = continuesName(text.charCodeAt(from - 1)) ? ' $' : '$';
    const after = continuesName(text.charCodeAt(end)) ? ' ' : '';
    this.shape += `${text.slice(this.#copied, from)}${before}${this.#clientParameters + this.literals.length}${after}`;
    this.#copied = end;
  }

  #isClientParameter(): boolean {
    const { start, end } = this.#scanner;
    const index = Number(this.#text.slice(start + 1, end));
    return index >= 1 && index <= this.#clientParameters;
  }
}
