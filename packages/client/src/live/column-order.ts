import type { JsonValue } from '@kalamdb/protocol';
import type { KalamDataType, SchemaField } from '../messages/schema-field.ts';
import type { WireRow } from '../rows/row-data.ts';

/** A column to sort by; ascending unless `descending`. NULL counts as larger than everything, as in the server's ORDER BY. */
export type LiveOrder = string | { readonly column: string; readonly descending?: boolean | undefined };

/** Types whose values the wire may spell as text although they are numbers. */
const isNumeric = (type: KalamDataType | undefined): boolean =>
  (typeof type === 'object' && 'Decimal' in type) || /Int|Float|Double|Time|Date/.test(String(type));

/** Compares rows by columns, the first that differs decides; 0 when none does. Columns that the query does not have count as NULL. */
export function columnOrder(order: readonly LiveOrder[], schema: readonly SchemaField[]): (a: WireRow, b: WireRow) => number {
  const steps = order.map((step) => {
    const { column, descending = false } = typeof step === 'string' ? { column: step } : step;
    const type = schema.find((field) => field.name === column)?.data_type;
    return { column, sign: descending ? -1 : 1, compare: isNumeric(type) ? compareNumbers : compareTexts };
  });
  return (a, b) => {
    for (const { column, sign, compare } of steps) {
      const one = a[column] ?? null;
      const other = b[column] ?? null;
      const result = one === null || other === null ? Number(one === null) - Number(other === null) : compare(one, other);
      if (result !== 0) return sign * result;
    }
    return 0;
  };
}

/** Numbers or their texts, NaN above all. Those that one double stands for are compared digit by digit: texts of one column have the same scale. */
function compareNumbers(a: JsonValue, b: JsonValue): number {
  const [x, y] = [Number(a), Number(b)];
  if (x < y || x > y) return x < y ? -1 : 1;
  if (x !== y) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
  const [one, other] = [a, b].map((value) => (/^-?[\d.]+$/.test(String(value)) ? BigInt(String(value).replace('.', '')) : undefined));
  if (typeof a !== 'string' || typeof b !== 'string' || one === undefined || other === undefined) return compareTexts(a, b);
  return one < other ? -1 : Number(one > other);
}

/** Everything else by its text, in the order of code units; booleans come out false before true. */
function compareTexts(a: JsonValue, b: JsonValue): number {
  const [one, other] = [a, b].map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value)));
  return one === other || one === undefined || other === undefined ? 0 : one < other ? -1 : 1;
}
