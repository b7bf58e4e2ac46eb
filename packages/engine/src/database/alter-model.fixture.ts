import type { Cell } from '@kalamdb/protocol';
import fc from 'fast-check';

type ColumnType = 'INT' | 'BIGINT' | 'TEXT';

/** What a program does to `app.t` and its rows. Columns are named by their place among those that are there. */
export type AlterStep =
  | { readonly kind: 'insert' | 'update'; readonly id: number; readonly values: readonly (number | undefined)[] }
  | { readonly kind: 'delete'; readonly id: number }
  | { readonly kind: 'add'; readonly type: ColumnType; readonly notNull: boolean; readonly fill: number | undefined }
  | { readonly kind: 'drop' | 'rename' | 'widen' | 'set-not-null' | 'drop-not-null'; readonly column: number }
  | { readonly kind: 'rename-key' }
  | { readonly kind: 'reopen' };

const value = fc.option(fc.integer({ min: -9, max: 9 }), { nil: undefined });
const ids = fc.integer({ min: 1, max: 5 });
const change = fc.record({
  kind: fc.constantFrom('insert' as const, 'update' as const),
  id: ids,
  values: fc.array(value, { maxLength: 4 }),
});
const columnStep = fc.record({
  kind: fc.constantFrom('drop' as const, 'rename' as const, 'widen' as const, 'set-not-null' as const, 'drop-not-null' as const),
  column: fc.nat(5),
});

/** Steps of random programs. */
export const ALTER_STEP: fc.Arbitrary<AlterStep> = fc.oneof(
  { weight: 8, arbitrary: change },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), id: ids }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      type: fc.constantFrom<ColumnType>('INT', 'BIGINT', 'TEXT'),
      notNull: fc.boolean(),
      fill: value,
    }),
  },
  { weight: 5, arbitrary: columnStep },
  { weight: 1, arbitrary: fc.constant({ kind: 'rename-key' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
);

interface ModelColumn {
  name: string;
  type: ColumnType;
  notNull: boolean;
  readonly fill: number | undefined;
}

/** A table of plain objects; each row holds its values by column object, so that names and places cannot be confused. */
export class AlterModel {
  /** How often each kind of step changed something, over all programs. */
  static readonly counts: Record<string, number> = {};
  readonly #rows = new Map<number, Map<ModelColumn, number | undefined>>();
  #columns: ModelColumn[] = [
    { name: 'c0', type: 'INT', notNull: false, fill: undefined },
    { name: 'c1', type: 'TEXT', notNull: false, fill: undefined },
  ];
  #names = 2;
  #keyName = 'id';

  definition(): string {
    return `id INT PRIMARY KEY, ${this.#columns.map(({ name, type }) => `${name} ${type}`).join(', ')}`;
  }

  /** The column that a step means; `undefined` when there is none. */
  column(index: number): ModelColumn | undefined {
    return this.#columns[index % Math.max(1, this.#columns.length)];
  }

  get columns(): readonly ModelColumn[] {
    return this.#columns;
  }

  get keyName(): string {
    return this.#keyName;
  }

  nextName(): string {
    return `c${this.#names}`;
  }

  /** Does the step; `false` when the database has to refuse it. */
  apply(step: Exclude<AlterStep, { kind: 'reopen' }>): boolean {
    const done = this.#do(step);
    if (done) AlterModel.counts[step.kind] = (AlterModel.counts[step.kind] ?? 0) + 1;
    return done;
  }

  rows(): readonly (readonly Cell[])[] {
    return [...this.#rows]
      .sort(([a], [b]) => a - b)
      .map(([id, values]) => [id, ...this.#columns.map((column) => cellOf(values.get(column), column))]);
  }

  #do(step: Exclude<AlterStep, { kind: 'reopen' }>): boolean {
    switch (step.kind) {
      case 'insert':
        return !this.#rows.has(step.id) && this.#put(step.id, new Map(), step.values);
      case 'update': {
        const row = this.#rows.get(step.id);
        return row === undefined ? true : this.#put(step.id, new Map(row), step.values);
      }
      case 'delete':
        this.#rows.delete(step.id);
        return true;
      case 'add':
        return this.#add(step);
      case 'rename-key':
        this.#keyName = `c${this.#names++}`;
        return true;
      default:
        return this.#alter(step.kind, this.column(step.column));
    }
  }

  #put(id: number, row: Map<ModelColumn, number | undefined>, values: readonly (number | undefined)[]): boolean {
    for (const [index, column] of this.#columns.entries()) row.set(column, index < values.length ? values[index] : row.get(column));
    if (this.#columns.some((column) => column.notNull && row.get(column) === undefined)) return false;
    this.#rows.set(id, row);
    return true;
  }

  #add({ type, notNull, fill }: Extract<AlterStep, { kind: 'add' }>): boolean {
    if (notNull && fill === undefined && this.#rows.size > 0) return false;
    const column: ModelColumn = { name: this.nextName(), type, notNull, fill };
    this.#names += 1;
    this.#columns.push(column);
    for (const row of this.#rows.values()) row.set(column, notNull ? fill : undefined);
    return true;
  }

  #alter(kind: 'drop' | 'rename' | 'widen' | 'set-not-null' | 'drop-not-null', column: ModelColumn | undefined): boolean {
    if (column === undefined) return true;
    if (kind === 'drop') this.#columns = this.#columns.filter((other) => other !== column);
    if (kind === 'rename') column.name = `c${this.#names++}`;
    if (kind === 'widen' && column.type === 'TEXT') return false;
    if (kind === 'widen') column.type = 'BIGINT';
    if (kind === 'set-not-null' && [...this.#rows.values()].some((row) => row.get(column) === undefined)) return false;
    if (kind === 'set-not-null') column.notNull = true;
    if (kind === 'drop-not-null') column.notNull = false;
    return true;
  }
}

function cellOf(value: number | undefined, { type }: ModelColumn): Cell {
  if (value === undefined) return null;
  return type === 'INT' ? value : type === 'BIGINT' ? BigInt(value) : `t${value}`;
}

function literal(value: number | undefined, { type }: Pick<ModelColumn, 'type'>): string {
  if (value === undefined) return 'NULL';
  return type === 'TEXT' ? `'t${value}'` : String(value);
}

/** The step as a statement, to be asked for before the model does it; `undefined` when it says nothing. */
export function stepSql(step: Exclude<AlterStep, { kind: 'reopen' }>, model: AlterModel): string | undefined {
  switch (step.kind) {
    case 'insert': {
      const values = model.columns.map((column, index) => literal(step.values[index], column));
      return `INSERT INTO app.t VALUES (${[step.id, ...values].join(', ')})`;
    }
    case 'update': {
      const given = model.columns.slice(0, step.values.length);
      const set = given.map((column, index) => `${column.name} = ${literal(step.values[index], column)}`);
      return set.length === 0 ? undefined : `UPDATE app.t SET ${set.join(', ')} WHERE ${model.keyName} = ${step.id}`;
    }
    case 'delete':
      return `DELETE FROM app.t WHERE ${model.keyName} = ${step.id}`;
    case 'rename-key':
      return `ALTER TABLE app.t RENAME COLUMN ${model.keyName} TO ${model.nextName()}`;
    case 'add': {
      const rest = `${step.notNull ? ' NOT NULL' : ''}${step.fill === undefined ? '' : ` DEFAULT ${literal(step.fill, step)}`}`;
      return `ALTER TABLE app.t ADD COLUMN ${model.nextName()} ${step.type}${rest}`;
    }
    default: {
      const column = model.column(step.column);
      return column === undefined ? undefined : `ALTER TABLE app.t ${operation(step.kind, column.name, model.nextName())}`;
    }
  }
}

function operation(kind: 'drop' | 'rename' | 'widen' | 'set-not-null' | 'drop-not-null', name: string, next: string): string {
  switch (kind) {
    case 'drop':
      return `DROP COLUMN ${name}`;
    case 'rename':
      return `RENAME COLUMN ${name} TO ${next}`;
    case 'widen':
      return `MODIFY COLUMN ${name} BIGINT`;
    case 'set-not-null':
      return `ALTER COLUMN ${name} SET NOT NULL`;
    case 'drop-not-null':
      return `ALTER COLUMN ${name} DROP NOT NULL`;
    default:
      return kind satisfies never;
  }
}
