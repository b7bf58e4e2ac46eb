import { type Cell, kalamError, type Row } from '@kalamdb/protocol';

/** Reads the cells of a system row in order, each as the type its column has. A mismatch is damage and raises DAMAGED_DATA. */
export class CellReader {
  readonly #cells: Row;
  readonly #table: string;
  #next = 0;

  /** @param table name of the table, for the error text */
  constructor(table: string, cells: Row) {
    this.#table = table;
    this.#cells = cells;
  }

  text(): string {
    return this.#required(this.textOrNone());
  }

  textOrNone(): string | undefined {
    const cell = this.#take();
    if (cell === null) return undefined;
    return typeof cell === 'string' ? cell : this.#mismatch();
  }

  number(): number {
    return this.#required(this.numberOrNone());
  }

  numberOrNone(): number | undefined {
    const cell = this.#take();
    if (cell === null) return undefined;
    return typeof cell === 'number' ? cell : this.#mismatch();
  }

  boolean(): boolean {
    const cell = this.#take();
    return typeof cell === 'boolean' ? cell : this.#mismatch();
  }

  bigint(): bigint {
    return this.#required(this.bigintOrNone());
  }

  bigintOrNone(): bigint | undefined {
    const cell = this.#take();
    if (cell === null) return undefined;
    return typeof cell === 'bigint' ? cell : this.#mismatch();
  }

  /** A text that must be one of `values`. */
  oneOf<T extends string>(values: readonly T[]): T {
    const text = this.text();
    return values.find((value) => value === text) ?? this.#mismatch();
  }

  /** Passes over a cell that is not needed. */
  skip(cells = 1): void {
    this.#next += cells;
  }

  #take(): Cell {
    const cell = this.#cells[this.#next++];
    return cell === undefined ? this.#mismatch() : cell;
  }

  #required<T>(value: T | undefined): T {
    return value === undefined ? this.#mismatch() : value;
  }

  #mismatch(): never {
    throw kalamError('DAMAGED_DATA', { where: `system.${this.#table}`, reason: `cell ${this.#next} is not what the schema says` });
  }
}
