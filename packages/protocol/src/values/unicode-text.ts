const loneSurrogate = /\p{Surrogate}/u;

/** Whether the text has no half of a surrogate pair, so that UTF-8 can say it. */
export function isWellFormedText(text: string): boolean {
  return !loneSurrogate.test(text);
}

/**
 * Orders texts by code point, which is the order of their UTF-8 bytes. JavaScript's `<` orders by UTF-16 unit and so puts
 * U+1F600 (units D83D DE00) before U+FF5E.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA === unitB) continue;
    const surrogateA = (unitA & 0xf800) === 0xd800;
    const surrogateB = (unitB & 0xf800) === 0xd800;
    if (surrogateA !== surrogateB) return surrogateA ? (unitB >= 0xe000 ? 1 : unitA - unitB) : unitA >= 0xe000 ? -1 : unitA - unitB;
    return unitA - unitB;
  }
  return a.length - b.length;
}
