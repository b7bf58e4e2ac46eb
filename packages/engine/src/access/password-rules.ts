import { kalamError } from '@kalamdb/protocol';

/** UTF-16 units of a password that logins accept. */
const LOGIN_CHARACTERS_MAX = 256;

/** What a password must be like. */
export interface PasswordRules {
  readonly bytesMin: number;
  readonly bytesMax: number;
  /** It must have an upper case letter, a lower case letter, a digit and another character. */
  readonly complexity: boolean;
}

/** The rules of KalamDB 0.4.3 (wire-protocol 2.7). */
export const DEFAULT_PASSWORD_RULES: PasswordRules = { bytesMin: 8, bytesMax: 72, complexity: false };

/** Passwords that everybody tries first (wire-protocol 2.7). */
const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  (
    'password 123456 12345678 qwerty abc123 monkey 1234567 letmein trustno1 dragon baseball iloveyou master sunshine ashley bailey ' +
    'passw0rd shadow 123123 654321 superman qazwsx michael football'
  ).split(' '),
);

const CLASSES: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/\p{Lu}/u, 'uppercase letter'],
  [/\p{Ll}/u, 'lowercase letter'],
  [/\p{Nd}/u, 'digit'],
  [/[^\p{L}\p{Nd}]/u, 'special character'],
];

/** The rules for passwords that people choose for themselves, at setup and later. Throws WEAK_PASSWORD; `what` names it in the text. */
export function checkPassword(what: string, password: string, rules: PasswordRules): void {
  const reason = problemOf(password, rules);
  if (reason !== undefined) throw kalamError('WEAK_PASSWORD', { what, reason });
}

/**
 * The rules of CREATE USER and ALTER USER: any password that a login accepts, as in the original, unless complexity is
 * wanted. Throws INVALID_OPERATION.
 */
export function checkGivenPassword(password: string, rules: PasswordRules): void {
  const reason = givenProblem(password, rules);
  if (reason !== undefined) throw kalamError('INVALID_OPERATION', { reason });
}

function givenProblem(password: string, { complexity }: PasswordRules): string | undefined {
  if (password === '') return 'Password cannot be empty';
  if (password.length > LOGIN_CHARACTERS_MAX) return `Password must be at most ${LOGIN_CHARACTERS_MAX} characters`;
  return complexity ? complexityProblem(password) : undefined;
}

function problemOf(password: string, { bytesMin, bytesMax, complexity }: PasswordRules): string | undefined {
  const bytes = Buffer.byteLength(password);
  if (bytes < bytesMin) return `Password must be at least ${bytesMin} characters (weak)`;
  if (bytes > bytesMax) return `Password must be at most ${bytesMax} characters`;
  if (password.length > LOGIN_CHARACTERS_MAX) return `Password must be at most ${LOGIN_CHARACTERS_MAX} characters`;
  if (COMMON_PASSWORDS.has(password.toLowerCase())) return 'Password is too common';
  return complexity ? complexityProblem(password) : undefined;
}

function complexityProblem(password: string): string | undefined {
  const missing = CLASSES.find(([pattern]) => !pattern.test(password));
  return missing === undefined ? undefined : `Password must include at least one ${missing[1]}`;
}
