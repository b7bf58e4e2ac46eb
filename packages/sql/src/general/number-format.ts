import { quoteText } from './duckdb-text.ts';

/** Digits that a format may have on a side of the point. */
const DIGITS_MAX = 18;

interface NumberFormat {
  /** Before the first digit and behind the last one, as written. */
  readonly before: string;
  readonly behind: string;
  /** Places before the point, first to last: `9`, `0`, and `,` between them. */
  readonly whole: string;
  /** Places behind the point; `undefined`: there is no point. */
  readonly fraction: string | undefined;
  readonly compact: boolean;
  /** Where the sign stands; `usual`: before the first digit, and a blank for none. */
  readonly sign: 'usual' | 'first' | 'last' | 'minus-last' | 'minus-first' | 'angles';
}

const SIGNS: readonly (readonly [RegExp, RegExp, NumberFormat['sign']])[] = [
  [/^S/i, /^/, 'first'],
  [/^MI/i, /^/, 'minus-first'],
  [/^/, /S$/i, 'last'],
  [/^/, /MI$/i, 'minus-last'],
  [/^/, /PR$/i, 'angles'],
];

/** `undefined`: a format with what is not known here. */
function parsed(format: string): NumberFormat | undefined {
  const compact = /FM/i.test(format);
  let rest = format.replace(/FM/i, '');
  const found = SIGNS.find(([head, tail]) => (head.source === '^' ? tail.test(rest) : head.test(rest)));
  if (found !== undefined) rest = rest.replace(found[0], '').replace(found[1], '');
  const match = /^([^0-9.,DGEVRT"]*)([09,Gg]*)(?:([.Dd])([09]*))?([^0-9.,DGEVRT"]*)$/.exec(rest);
  if (match === null) return undefined;
  const [, before = '', whole = '', point, fraction = '', behind = ''] = match;
  if (/[a-z]/i.test(before + behind) || (whole === '' && point === undefined)) return undefined;
  const digits = whole.replace(/[,Gg]/g, '').length;
  if (digits > DIGITS_MAX || fraction.length > DIGITS_MAX) return undefined;
  return {
    before,
    behind,
    whole: whole.replace(/[Gg]/g, ','),
    fraction: point === undefined ? undefined : fraction,
    compact,
    sign: found?.[2] ?? 'usual',
  };
}

/** A number by a format of TO_CHAR, as DuckDB's SQL; `undefined` when the format has what is not known here. */
export function formattedNumber(number: string, format: string): string | undefined {
  const made = parsed(format);
  if (made === undefined) return undefined;
  const { whole, fraction, compact } = made;
  const places = whole.replaceAll(',', '');
  const scale = fraction?.length ?? 0;
  const rounded = `CAST(round(abs(p), ${scale}) AS DECIMAL(38, ${scale}))`;
  const digits = `split_part(CAST(${rounded} AS VARCHAR), '.', 1)`;
  const firstZero = places.indexOf('0');
  const least = Math.max(firstZero < 0 ? 0 : places.length - firstZero, scale === 0 ? 1 : 0);
  const none = compact ? `(CASE WHEN ${rounded} = 0 THEN '0' ELSE '' END)` : "''";
  const significant = `(CASE WHEN ${rounded} < 1 THEN ${places === '' ? "''" : none} ELSE ${digits} END)`;
  const shown =
    least === 0
      ? significant
      : `(CASE WHEN length(${significant}) >= ${least} THEN ${significant} ELSE lpad(${significant}, ${least}, '0') END)`;
  const filled = `lpad(${shown}, ${places.length}, ' ')`;
  const body = `${grouped(filled, whole)}${fractionText(rounded, fraction, compact)}`;
  const tooLarge = `length(${digits}) > ${places.length} AND ${rounded} >= 1`;
  const hashes = quoteText(`${whole.replace(/[09]/g, '#')}${fraction === undefined ? '' : `.${fraction.replace(/[09]/g, '#')}`}`);
  const text = `(CASE WHEN ${tooLarge} THEN ${hashes} ELSE ${body} END)`;
  return `list_transform([${number}], lambda p: ${signed(text, made)})[1]`;
}

/** Digits with the commas between them, which are blanks where no digit is before them. */
function grouped(filled: string, whole: string): string {
  if (whole === '') return "''";
  if (!whole.includes(',')) return filled;
  const parts: string[] = [];
  let count = 0;
  for (const place of whole) {
    if (place === ',') parts.push(`(CASE WHEN trim(left(${filled}, ${count})) = '' THEN ' ' ELSE ',' END)`);
    else {
      count += 1;
      parts.push(`substr(${filled}, ${count}, 1)`);
    }
  }
  return parts.join(' || ');
}

function fractionText(rounded: string, fraction: string | undefined, compact: boolean): string {
  if (fraction === undefined) return '';
  if (fraction === '') return " || '.'";
  const digits = `right(CAST(${rounded} AS VARCHAR), ${fraction.length})`;
  const kept = fraction.lastIndexOf('0') + 1;
  return compact ? ` || '.' || left(${digits}, ${kept}) || rtrim(substr(${digits}, ${kept + 1}), '0')` : ` || '.' || ${digits}`;
}

function signed(text: string, { before, behind, compact, sign, whole, fraction }: NumberFormat): string {
  const width = whole.length + (fraction === undefined ? 0 : fraction.length + 1);
  const minus = 'p < 0';
  const bare = `ltrim(${text})`;
  const [head, tail] = [before === '' ? '' : `${quoteText(before)} || `, behind === '' ? '' : ` || ${quoteText(behind)}`];
  const full = (inner: string, of: number): string => (compact ? inner : `lpad(${inner}, ${of}, ' ')`);
  switch (sign) {
    case 'usual':
      return `${head}${full(`(CASE WHEN ${minus} THEN '-' ELSE '' END) || ${bare}`, width + 1)}${tail}`;
    case 'first':
      return `${head}${full(`(CASE WHEN ${minus} THEN '-' ELSE '+' END) || ${bare}`, width + 1)}${tail}`;
    case 'last':
      return `${head}${full(bare, width)} || (CASE WHEN ${minus} THEN '-' ELSE '+' END)${tail}`;
    case 'minus-first':
      return `(CASE WHEN ${minus} THEN '-' ELSE '${compact ? '' : ' '}' END) || ${head}${full(bare, width)}${tail}`;
    case 'minus-last':
      return `${head}${full(bare, width)} || (CASE WHEN ${minus} THEN '-' ELSE '${compact ? '' : ' '}' END)${tail}`;
    case 'angles':
      return `${head}${full(`(CASE WHEN ${minus} THEN '<' ELSE '' END) || ${bare}`, width + 1)} || (CASE WHEN ${minus} THEN '>' ELSE '${compact ? '' : ' '}' END)${tail}`;
    default:
      return sign satisfies never;
  }
}
