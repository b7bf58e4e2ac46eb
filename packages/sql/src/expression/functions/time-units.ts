/** A unit of time that `date_trunc` takes. */
export type TruncationUnit =
  | 'microsecond'
  | 'millisecond'
  | 'second'
  | 'minute'
  | 'hour'
  | 'day'
  | 'week'
  | 'month'
  | 'quarter'
  | 'year'
  | 'decade'
  | 'century'
  | 'millennium';

/** What EXTRACT takes of an instant: units, and fields that are none. */
export type TimeField = TruncationUnit | 'dow' | 'isodow' | 'doy' | 'isoyear' | 'epoch' | 'julian';

/** The words that PostgreSQL has for each (its table of interval units), the names of the fields among them. */
const WORDS: Readonly<Record<TimeField, string>> = {
  microsecond: 'microsecond microseconds us usec usecs usecond useconds',
  millisecond: 'millisecond milliseconds ms msec msecs msecond mseconds',
  second: 'second seconds s sec secs',
  minute: 'minute minutes m min mins',
  hour: 'hour hours h hr hrs',
  day: 'day days d',
  week: 'week weeks w',
  month: 'month months mon mons',
  quarter: 'quarter qtr',
  year: 'year years y yr yrs',
  decade: 'decade decades dec decs',
  century: 'century centuries c cent',
  millennium: 'millennium millennia mil mils',
  dow: 'dow',
  isodow: 'isodow',
  doy: 'doy',
  isoyear: 'isoyear',
  epoch: 'epoch',
  julian: 'julian j jd',
};

/** All of {@link TimeField}, with their words. */
export const TIME_FIELDS: ReadonlyMap<TimeField, readonly string[]> = new Map(
  Object.entries(WORDS).map(([field, words]) => [field as TimeField, words.split(' ')]),
);

const FIELD_OF: ReadonlyMap<string, TimeField> = new Map([...TIME_FIELDS].flatMap(([field, words]) => words.map((word) => [word, field])));

const NO_UNITS: ReadonlySet<TimeField> = new Set(['dow', 'isodow', 'doy', 'isoyear', 'epoch', 'julian']);
const OF_TIME: ReadonlySet<TimeField> = new Set(['microsecond', 'millisecond', 'second', 'minute', 'hour', 'epoch']);

/** The field of an instant that a word means, whatever its case; `undefined` when there is none. */
export function timeField(word: string): TimeField | undefined {
  return FIELD_OF.get(word.toLowerCase());
}

/** Whether `date_trunc` takes it. */
export function isTruncationUnit(field: TimeField): field is TruncationUnit {
  return !NO_UNITS.has(field);
}

/** Whether a time of day has it. */
export function isFieldOfTime(field: TimeField): boolean {
  return OF_TIME.has(field);
}
