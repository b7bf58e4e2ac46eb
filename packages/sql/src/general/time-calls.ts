import { duckdbType } from '@kalamdb/protocol';
import { isFieldOfTime, isTruncationUnit, TIME_FIELDS, type TimeField, timeField } from '../expression/functions/time-units.ts';
import type { CallWriter } from './call-writer.ts';
import { quoteText } from './duckdb-text.ts';

/** Years in a unit, and a year that one of them begins with. */
const YEARS: Partial<Readonly<Record<TimeField, readonly [years: number, base: number]>>> = {
  decade: [10, 0],
  century: [100, 1],
  millennium: [1000, 1],
};

/**
 * DuckDB lets these begin where its division puts them, which before the year 1 is too late. The unit is no constant for DuckDB: from
 * `date_trunc('month', t) <> constant` it would conclude that rows without `t` fit too.
 */
function truncated(field: TimeField, value: string): string {
  const unit = (name: TimeField): string => `CASE WHEN ${value} IS NULL THEN NULL ELSE '${name}' END`;
  const years = YEARS[field];
  if (years === undefined) return `CAST(date_trunc(${unit(field)}, ${value}) AS TIMESTAMP)`;
  const [step, base] = years;
  const since = `((date_part('year', ${value}) - ${base}) % ${step} + ${step}) % ${step}`;
  return `CAST(date_trunc(${unit('year')}, ${value}) - ${since} * CAST('1 year' AS INTERVAL) AS TIMESTAMP)`;
}

/** EXTRACT gives seconds with their fraction; DuckDB's parts are whole. Its years have one with the number 0, which PostgreSQL's have not. */
function part(field: TimeField, value: string): string {
  const whole = (name: string): string => `date_part('${name}', ${value})`;
  switch (field) {
    case 'second':
      return `(CAST(${whole('microseconds')} AS DOUBLE) / CAST(1000000 AS DOUBLE))`;
    case 'millisecond':
      return `(CAST(${whole('microseconds')} AS DOUBLE) / CAST(1000 AS DOUBLE))`;
    case 'year':
    case 'isoyear':
      return `CAST(${whole(field)} - CAST(${whole(field)} <= 0 AS BIGINT) AS DOUBLE)`;
    case 'decade':
      return `floor(CAST(${whole('year')} AS DOUBLE) / CAST(10 AS DOUBLE))`;
    default:
      return `CAST(${whole(field)} AS DOUBLE)`;
  }
}

/** A function of a unit and a time: of a unit that is written in the query only what is needed, else a choice between all of them. */
function byField(fields: readonly TimeField[], type: string, write: (field: TimeField, value: string) => string): CallWriter {
  return ([unit = '', value = ''], { constants: [written], result }) => {
    const refusal = `WHEN ${unit} IS NOT NULL AND ${value} IS NOT NULL THEN error('unit "' || ${unit} || '" not recognized for type ${type}')`;
    const field = typeof written === 'string' ? timeField(written) : undefined;
    if (field !== undefined && fields.includes(field)) return write(field, value);
    const words = (of: TimeField): string => (TIME_FIELDS.get(of) ?? []).map(quoteText).join(', ');
    const possible = typeof written === 'string' ? [] : fields;
    const branches = possible.map((of) => `WHEN lower(${unit}) IN (${words(of)}) THEN ${write(of, value)}`);
    return `CAST(CASE ${[...branches, refusal].join(' ')} END AS ${duckdbType(result)})`;
  };
}

const FIELDS = [...TIME_FIELDS.keys()];
const partOfInstant = byField(FIELDS, 'TIMESTAMP', part);
const partOfTime = byField(FIELDS.filter(isFieldOfTime), 'TIME', part);

/** `date_part` and EXTRACT. */
export const datePart: CallWriter = (operands, types) => (types.operands[1]?.kind === 'time' ? partOfTime : partOfInstant)(operands, types);

/** `date_trunc`. */
export const dateTrunc: CallWriter = byField(FIELDS.filter(isTruncationUnit), 'TIMESTAMP', truncated);
