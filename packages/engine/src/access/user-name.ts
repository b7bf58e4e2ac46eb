import { isWellFormedText } from '@kalamdb/protocol';

/** Characters of a user name. Names are part of keys and of paths. */
const USER_NAME_LENGTH_MAX = 128;

/** Why a text cannot be a user's name; `undefined` when it can. */
export function userNameProblem(name: string): string | undefined {
  if (name.trim() === '') return 'it must not be empty';
  if (name.length > USER_NAME_LENGTH_MAX) return `it is longer than ${USER_NAME_LENGTH_MAX} characters`;
  if (name.includes('..') || /[/\\\0]/.test(name)) return "it must not contain '..', '/', '\\' or NUL";
  return isWellFormedText(name) ? undefined : 'it is not well-formed text';
}
