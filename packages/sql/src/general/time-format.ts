import { quoteText } from './duckdb-text.ts';

/** A part of a time as a text, over the timestamp `p`. */
interface Pattern {
  /** Matched without regard to case, unless it is a name, whose case is that of the result. */
  readonly word: string;
  /** A number with this many digits, or a text. */
  readonly digits?: number;
  readonly value: string;
  /** Texts are filled up to this length. */
  readonly width?: number;
}

const part = (name: string): string => `date_part('${name}', p)`;

/** Patterns of TO_CHAR (PostgreSQL's manual, table 9.27), longest first where one begins another. */
const PATTERNS: readonly Pattern[] = [
  { word: 'HH24', digits: 2, value: part('hour') },
  { word: 'HH12', digits: 2, value: `((${part('hour')} + 11) % 12 + 1)` },
  { word: 'IYYY', digits: 4, value: part('isoyear') },
  { word: 'IDDD', digits: 3, value: `((${part('week')} - 1) * 7 + ${part('isodow')})` },
  { word: 'YYYY', digits: 4, value: part('year') },
  { word: 'SSSS', digits: 0, value: `(${part('hour')} * 3600 + ${part('minute')} * 60 + ${part('second')})` },
  { word: 'YYY', digits: 3, value: `(${part('year')} % 1000)` },
  { word: 'DDD', digits: 3, value: part('doy') },
  { word: 'MONTH', value: 'upper(monthname(p))', width: 9 },
  { word: 'Month', value: 'monthname(p)', width: 9 },
  { word: 'month', value: 'lower(monthname(p))', width: 9 },
  { word: 'MON', value: 'upper(left(monthname(p), 3))' },
  { word: 'Mon', value: 'left(monthname(p), 3)' },
  { word: 'mon', value: 'lower(left(monthname(p), 3))' },
  { word: 'DAY', value: 'upper(dayname(p))', width: 9 },
  { word: 'Day', value: 'dayname(p)', width: 9 },
  { word: 'day', value: 'lower(dayname(p))', width: 9 },
  { word: 'DY', value: 'upper(left(dayname(p), 3))' },
  { word: 'Dy', value: 'left(dayname(p), 3)' },
  { word: 'dy', value: 'lower(left(dayname(p), 3))' },
  { word: 'A.M.', value: `(CASE WHEN ${part('hour')} < 12 THEN 'A.M.' ELSE 'P.M.' END)` },
  { word: 'P.M.', value: `(CASE WHEN ${part('hour')} < 12 THEN 'A.M.' ELSE 'P.M.' END)` },
  { word: 'AM', value: `(CASE WHEN ${part('hour')} < 12 THEN 'AM' ELSE 'PM' END)` },
  { word: 'PM', value: `(CASE WHEN ${part('hour')} < 12 THEN 'AM' ELSE 'PM' END)` },
  { word: 'am', value: `(CASE WHEN ${part('hour')} < 12 THEN 'am' ELSE 'pm' END)` },
  { word: 'pm', value: `(CASE WHEN ${part('hour')} < 12 THEN 'am' ELSE 'pm' END)` },
  { word: 'TZ', value: "'UTC'" },
  { word: 'YY', digits: 2, value: `(${part('year')} % 100)` },
  { word: 'MM', digits: 2, value: part('month') },
  { word: 'DD', digits: 2, value: part('day') },
  { word: 'ID', digits: 0, value: part('isodow') },
  { word: 'IW', digits: 2, value: part('week') },
  { word: 'WW', digits: 2, value: `((${part('doy')} - 1) // 7 + 1)` },
  { word: 'HH', digits: 2, value: `((${part('hour')} + 11) % 12 + 1)` },
  { word: 'MI', digits: 2, value: part('minute') },
  { word: 'SS', digits: 2, value: part('second') },
  { word: 'MS', digits: 3, value: `(${part('microseconds')} % 1000000 // 1000)` },
  { word: 'US', digits: 6, value: `(${part('microseconds')} % 1000000)` },
  { word: 'CC', digits: 2, value: part('century') },
  { word: 'Q', digits: 0, value: part('quarter') },
  { word: 'W', digits: 0, value: `((${part('day')} - 1) // 7 + 1)` },
  { word: 'D', digits: 0, value: `(${part('dow')} + 1)` },
  { word: 'J', digits: 0, value: "date_diff('day', CAST('1970-01-01' AS DATE), CAST(p AS DATE)) + 2440588" },
  { word: 'Y', digits: 1, value: `(${part('year')} % 10)` },
];

const TEXTS: ReadonlySet<string> = new Set(PATTERNS.filter(({ digits }) => digits === undefined).map(({ word }) => word));

function patternAt(rest: string): Pattern | undefined {
  return PATTERNS.find(({ word }) => (TEXTS.has(word) ? rest.startsWith(word) : rest.slice(0, word.length).toUpperCase() === word));
}

/** What a format consists of: literal texts, and patterns with what is before (`FM`) and behind them (`TH`). */
type Token = { readonly literal: string } | { readonly pattern: Pattern; readonly compact: boolean; readonly ordinal: string };

/** `undefined`: it has a letter that is no pattern known here. */
function tokens(format: string): readonly Token[] | undefined {
  const found: Token[] = [];
  let compact = false;
  for (let index = 0; index < format.length; ) {
    const rest = format.slice(index);
    const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(rest);
    const pattern = patternAt(rest);
    if (quoted !== null) {
      found.push({ literal: (quoted[1] ?? '').replace(/\\(.)/g, '$1') });
      index += quoted[0].length;
    } else if (/^FM/i.test(rest)) {
      compact = true;
      index += 2;
    } else if (pattern !== undefined) {
      const ordinal = /^th/i.exec(rest.slice(pattern.word.length))?.[0] ?? '';
      found.push({ pattern, compact, ordinal: pattern.digits === undefined ? '' : ordinal });
      compact = false;
      index += pattern.word.length + (pattern.digits === undefined ? 0 : ordinal.length);
    } else {
      if (/^\p{L}/u.test(rest)) return undefined;
      found.push({ literal: rest.charAt(0) });
      index += 1;
    }
  }
  return found;
}

/** A timestamp by a format of TO_CHAR, as DuckDB's SQL; `undefined` when the format has a letter that is no pattern known here. */
export function formattedTime(timestamp: string, format: string): string | undefined {
  const parts = tokens(format)?.map((token) => ('literal' in token ? quoteText(token.literal) : patternText(token)));
  if (parts === undefined) return undefined;
  return `list_transform([${timestamp}], lambda p: ${parts.length === 0 ? 'left(CAST(p AS VARCHAR), 0)' : parts.join(' || ')})[1]`;
}

function patternText({ pattern, compact, ordinal }: Exclude<Token, { literal: string }>): string {
  const { digits, value, width } = pattern;
  if (digits === undefined) return width === undefined || compact ? value : `rpad(${value}, ${width}, ' ')`;
  const number = `CAST(${value} AS VARCHAR)`;
  const written =
    compact || digits === 0 ? number : `(CASE WHEN length(${number}) >= ${digits} THEN ${number} ELSE lpad(${number}, ${digits}, '0') END)`;
  if (ordinal === '') return written;
  const ending = `(CASE WHEN ${value} % 100 BETWEEN 11 AND 13 THEN 'th' WHEN ${value} % 10 = 1 THEN 'st' WHEN ${value} % 10 = 2 THEN 'nd' WHEN ${value} % 10 = 3 THEN 'rd' ELSE 'th' END)`;
  return `${written} || ${ordinal === 'TH' ? `upper(${ending})` : ending}`;
}

/** Patterns as `strptime` reads them. */
const READ: Readonly<Record<string, string>> = {
  YYYY: '%Y',
  YY: '%y',
  MM: '%m',
  DD: '%d',
  DDD: '%j',
  HH24: '%H',
  HH12: '%I',
  HH: '%I',
  MI: '%M',
  SS: '%S',
  MS: '%g',
  US: '%f',
  AM: '%p',
  PM: '%p',
  am: '%p',
  pm: '%p',
  MON: '%b',
  Mon: '%b',
  mon: '%b',
  MONTH: '%B',
  Month: '%B',
  month: '%B',
  DY: '%a',
  Dy: '%a',
  dy: '%a',
  DAY: '%A',
  Day: '%A',
  day: '%A',
};

/** A format of TO_DATE and TO_TIMESTAMP as one of `strptime`; `undefined` when it has what is not known here. */
export function readingFormat(format: string): string | undefined {
  const parts = tokens(format)?.map((token) => ('literal' in token ? token.literal.replaceAll('%', '%%') : READ[token.pattern.word]));
  return parts === undefined || parts.includes(undefined) ? undefined : parts.join('');
}
