/** JSON wants the controls below U+0020 escaped; those above are only sent the slower way. */
const needsEscape = /["\\\p{Control}\p{Surrogate}]/u;
/** Above this the native escaper is the faster of the two. */
const regexpTestCharactersMax = 5_000;

/** The text as a JSON string with its quotes; half surrogate pairs are escaped. */
export function jsonString(text: string): string {
  return text.length <= regexpTestCharactersMax && !needsEscape.test(text) ? `"${text}"` : JSON.stringify(text);
}
