import { KalamCellValue } from './cell-value.ts';
import type { FileRef } from './file-ref.ts';
import type { RowData } from './row-data.ts';

/** A row with the type the application gives it. */
export class KalamRow<T extends object = Record<string, unknown>> {
  readonly #cells: RowData;
  #data: T | undefined;

  constructor(cells: RowData) {
    this.#cells = cells;
  }

  /** The cells as they came from JSON (a BIGINT is decimal text), under the application's type. Not checked. */
  get data(): T {
    this.#data ??= Object.fromEntries(Object.entries(this.#cells).map(([name, cell]) => [name, cell.toJson()])) as T;
    return this.#data;
  }

  /** The cells with their typed readers. */
  get typedData(): RowData {
    return this.#cells;
  }

  /** One cell; a column that the row does not have reads as NULL. */
  cell(column: string & keyof T): KalamCellValue {
    return this.#cells[column] ?? KalamCellValue.from(null);
  }

  /** The reference that a FILE column holds. */
  file(column: string & keyof T): FileRef | null {
    return this.cell(column).asFile();
  }
}
