import { type Cell, kalamError, type Row } from '@kalamdb/protocol';
import type { ColumnInfo, EvalContext } from '../expression/input-row.ts';
import { storedReaders, type ValueReader } from '../expression/value.ts';
import { CONSTANT, type ConstantKind, type ConstantValue, type ValuesList } from '../lexer/values-list.ts';
import { fillerNode } from './assignments.ts';
import { bindTarget, checkWidth, type InsertStatement, type InsertTarget, missingColumns } from './insert.ts';
import { evaluateFixed } from './key-lookup.ts';
import type { ConflictPlan, InsertPlan, Returning } from './plans.ts';
import type { BindRequest } from './scope.ts';
import type { TableInfo } from './table-info.ts';

/** Takes constants into one column. */
interface ColumnReader {
  /** The bits of the kinds that fit. */
  readonly fitting: number;
  read(kind: ConstantKind, value: ConstantValue, context: EvalContext): Cell;
}

/** A stored column: where its constants stand in the tuple, `-1` for nowhere. */
interface Place {
  readonly at: number;
  readonly reader: ColumnReader;
}

/**
 * What all INSERTs of constants into the same columns of a table share, whatever the number of their rows and the kinds of their
 * constants. It holds no values: those of a statement are only in the plan made for it.
 */
export class ValuesForm {
  readonly table: TableInfo;
  readonly #conflict: ConflictPlan | undefined;
  readonly #returning: Returning | undefined;
  readonly #missing: readonly ColumnInfo[];
  readonly #places: readonly Place[];
  /** By place in the tuple, the bits of the kinds that do not fit. */
  readonly #refused: readonly number[];

  private constructor(target: InsertTarget, width: number) {
    const given = target.targets.slice(0, width);
    this.table = target.table;
    this.#conflict = target.conflict;
    this.#returning = target.returning;
    this.#missing = missingColumns(target, width);
    this.#places = target.stored.map((column) => ({ at: given.indexOf(column), reader: columnReader(column) }));
    this.#refused = given.map((column) => ~(this.#places[target.stored.indexOf(column)]?.reader.fitting ?? 0));
  }

  /** Binds the columns of an INSERT whose tuples have `width` constants. Throws what is wrong with them, and INSERT_WIDTH. */
  static bind(statement: InsertStatement, width: number, request: BindRequest): ValuesForm {
    const target = bindTarget(statement, request);
    checkWidth(width, target);
    return new ValuesForm(target, width);
  }

  /** The plan for a statement of this form; `undefined` when the kind of a constant does not fit its column. */
  plan(list: ValuesList): InsertPlan | undefined {
    for (const [at, kinds] of list.columnKinds.entries()) if ((kinds & (this.#refused[at] ?? ~0)) !== 0) return undefined;
    return {
      kind: 'insert',
      table: this.table,
      source: undefined,
      missing: this.#missing,
      conflict: this.#conflict,
      returning: this.#returning,
      rowsFor: (context) => this.#rows(list, context, { from: 0, to: list.values.length }),
      values: {
        count: list.values.length / list.width,
        rows: (context, from, to) => this.#rows(list, context, { from: from * list.width, to: to * list.width }),
      },
    };
  }

  /** Column by column as they are stored, which is the order in which errors and defaults come. */
  #rows({ kinds, values, width }: ValuesList, context: EvalContext, part: { readonly from: number; readonly to: number }): Row[] {
    const places = this.#places;
    const rows: Row[] = [];
    for (let from = part.from; from < part.to; from += width) {
      const cells: Cell[] = [];
      for (const { at, reader } of places) {
        if (at < 0) cells.push(reader.read(CONSTANT.default, null, context));
        else cells.push(reader.read(kinds[from + at] ?? CONSTANT.default, values[from + at] ?? null, context));
      }
      rows.push(cells);
    }
    return rows;
  }
}

function columnReader(column: ColumnInfo): ColumnReader {
  const filler = fillerNode(column);
  const readers = storedReaders(column.type);
  const fitting =
    CONSTANT.null |
    CONSTANT.default |
    (readers.boolean === undefined ? 0 : CONSTANT.boolean) |
    (readers.integer === undefined ? 0 : CONSTANT.integer) |
    (readers.decimal === undefined ? 0 : CONSTANT.decimal) |
    (readers.string === undefined ? 0 : CONSTANT.string);
  const { boolean = unfit, integer = unfit, decimal = unfit, string = unfit } = readers;
  return {
    fitting,
    read(kind, value, context) {
      if (kind === CONSTANT.default) return evaluateFixed(filler, context);
      if (value === null) return null;
      switch (kind) {
        case CONSTANT.string:
          return string(value);
        case CONSTANT.integer:
          return integer(value);
        case CONSTANT.decimal:
          return decimal(value);
        case CONSTANT.boolean:
          return boolean(value);
        case CONSTANT.null:
          return null;
        default:
          return kind satisfies never;
      }
    },
  };
}

const unfit: ValueReader = () => {
  throw kalamError('INTERNAL_ERROR', { reason: 'a constant that does not fit its column was let through' });
};
