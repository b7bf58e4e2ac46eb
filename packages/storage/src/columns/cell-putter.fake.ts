import type { DuckDBValue, DuckDBVector } from '@duckdb/node-api';
import type { DataType, NonNullCell } from '@kalamdb/protocol';
import type { DuckDb } from './duckdb.ts';

/** Puts one cell of a column into its vector. The vector takes the value over at once, but for texts and bytes, which wait for its flush. */
export type CellPutter = (vector: DuckDBVector, row: number, cell: NonNullCell) => void;

/** A value object whose content may be replaced. */
type Refilled<V> = { -readonly [K in keyof V]: V[K] };

/** How the cells of a column get into a vector of the type that `duckdbType` says. Numbers, times and texts do so without an object for each cell. */
export function cellPutter(db: DuckDb, type: DataType): CellPutter {
  switch (type.kind) {
    case 'decimal': {
      const value = new db.DuckDBDecimalValue(0n, type.precision, type.scale);
      const open: Refilled<typeof value> = value;
      return refilling(value, (cell) => {
        open.value = cell as bigint;
      });
    }
    case 'timestamp':
    case 'datetime': {
      const value = new db.DuckDBTimestampValue(0n);
      const open: Refilled<typeof value> = value;
      return refilling(value, (cell) => {
        open.micros = cell as bigint;
      });
    }
    case 'date': {
      const value = new db.DuckDBDateValue(0);
      const open: Refilled<typeof value> = value;
      return refilling(value, (cell) => {
        open.days = cell as number;
      });
    }
    case 'time': {
      const value = new db.DuckDBTimeValue(0n);
      const open: Refilled<typeof value> = value;
      return refilling(value, (cell) => {
        open.micros = BigInt(cell as number);
      });
    }
    case 'uuid':
      return (vector, row, cell) =>
        vector.setItem(row, db.DuckDBUUIDValue.fromUint128(BigInt(`0x${(cell as string).replaceAll('-', '')}`)));
    case 'bytes':
      return (vector, row, cell) => vector.setItem(row, new db.DuckDBBlobValue(cell as Uint8Array));
    case 'embedding':
      return (vector, row, cell) => vector.setItem(row, new db.DuckDBArrayValue(Array.from(cell as Float32Array)));
    default:
      return (vector, row, cell) => vector.setItem(row, cell as DuckDBValue);
  }
}

function refilling(value: DuckDBValue, fill: (cell: NonNullCell) => void): CellPutter {
  return (vector, row, cell) => {
    fill(cell);
    vector.setItem(row, value);
  };
}
