/** TO_CHAR's patterns as DuckDB's, longest first. */
const PATTERNS: readonly (readonly [string, string])[] = [
  ['HH24', '%H'],
  ['HH12', '%I'],
  ['YYYY', '%Y'],
  ['DDD', '%j'],
  ['Mon', '%b'],
  ['YY', '%y'],
  ['MM', '%m'],
  ['DD', '%d'],
  ['HH', '%I'],
  ['MI', '%M'],
  ['SS', '%S'],
  ['MS', '%g'],
  ['US', '%f'],
  ['Dy', '%a'],
  ['AM', '%p'],
  ['PM', '%p'],
];

/** A format of TO_CHAR as one of `strftime`; `undefined` when it has a letter that is no pattern known here. */
export function timeFormat(format: string): string | undefined {
  let result = '';
  for (let index = 0; index < format.length; ) {
    const rest = format.slice(index);
    const quoted = /^"([^"]*)"/.exec(rest);
    const known = PATTERNS.find(([pattern]) => rest.startsWith(pattern));
    if (quoted !== null) {
      result += (quoted[1] ?? '').replaceAll('%', '%%');
      index += quoted[0].length;
    } else if (known !== undefined) {
      result += known[1];
      index += known[0].length;
    } else {
      const character = rest.charAt(0);
      if (/\p{L}/u.test(character)) return undefined;
      result += character === '%' ? '%%' : character;
      index += 1;
    }
  }
  return result;
}
