/** Class of white space. Classes of characters are bits. */
const SPACE = 1;
/** Class of the ASCII letters, `_` and everything from U+0080 up, as in PostgreSQL's scanner. */
export const LETTER = 2;
/** Class of the ASCII digits. */
export const DIGIT = 4;
/** Class of what operators are made of. */
export const OPERATOR = 8;
/** Class of punctuation. */
export const SYMBOL = 16;
/** Class of `$`, which may continue a name but not start one. */
export const DOLLAR = 32;

function classTable(): Uint8Array {
  const table = new Uint8Array(128);
  const mark = (characters: string, bit: number): void => {
    for (let index = 0; index < characters.length; index++) table[characters.charCodeAt(index)] = bit;
  };
  mark(' \t\n\r\f\v', SPACE);
  mark('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', LETTER);
  mark('0123456789', DIGIT);
  mark('~!@#^&|`?+-*/%<>=', OPERATOR);
  mark('(),;.[]:', SYMBOL);
  mark('$', DOLLAR);
  return table;
}

const CLASSES: Uint8Array = classTable();

/** The class of a UTF-16 unit: one of the bits above, 0 for characters that no token starts with, also past the end (NaN). */
export function characterClass(code: number): number {
  return code < 128 ? (CLASSES[code] ?? 0) : code >= 128 ? LETTER : 0;
}

/** Whether a name goes on with this unit. */
export function continuesName(code: number): boolean {
  return (characterClass(code) & (LETTER | DIGIT | DOLLAR)) !== 0;
}

/** Whether the unit is one of the ASCII digits. */
export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** Whether the unit is white space of SQL. */
export function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}
