import type { Cell, DataType } from '@kalamdb/protocol';
import { coerce } from '../expression/common-type.ts';
import { type ColumnInfo, type InputRow, parameterContext } from '../expression/input-row.ts';
import type { Typed } from '../expression/typed.ts';
import { fractionDigits, literalValue, parameterNode } from '../expression/value.ts';
import type { LiteralKind, Position } from '../statement/ast.ts';
import { castText, constantText } from './duckdb-text.ts';

/** What DuckDB has and the dialect has no type for. */
export type Foreign = 'interval' | 'list' | 'row';

/** A piece of DuckDB's SQL that is one expression: in parentheses, or so made that it needs none. */
export interface Piece {
  readonly text: string;
  /** Its type, and for a value as written the value itself; `undefined` for what the dialect has no type for. */
  readonly typed: Typed | undefined;
  readonly foreign: Foreign | undefined;
  /** The type of the elements of a list. */
  readonly element: DataType | undefined;
  /** The table column that it is, unchanged. */
  readonly column: ColumnInfo | undefined;
  /** The type that clients are told when it is an output and not that of its cells. */
  readonly shownAs?: DataType;
  /** Of a list: what an element is; its text means nothing. */
  readonly item?: Piece;
  /** Of a row: what it has, in order. Its text is a struct with the keys `f1`, `f2` … */
  readonly fields?: readonly RowField[];
  /** A text that is a JSON document. */
  readonly document?: true;
  /** The document itself, when it is a constant. */
  readonly written?: string;
}

/** A field of a row; the text of its piece means nothing. */
export interface RowField {
  readonly name: string;
  readonly piece: Piece;
}

const NO_ROW: InputRow = { cells: [], seq: 0n, deleted: false };

/** An expression of a known type, for asking the compiled binder about it; it is never evaluated. */
export function standIn(type: DataType, position: Position = 0): Typed {
  return { kind: 'operation', name: 'general', type, operands: [], position, stability: 'volatile', evaluate: () => null };
}

/** A piece of a type of the dialect. */
export function piece(text: string, type: DataType, column?: ColumnInfo): Piece {
  return { text, typed: standIn(type), foreign: undefined, element: undefined, column };
}

/** A piece of a type that only DuckDB has. */
export function foreignPiece(text: string, foreign: Foreign, element?: DataType): Piece {
  const made = { text, typed: undefined, foreign, element, column: undefined };
  return element === undefined ? made : { ...made, item: piece('', element) };
}

/** A list of such elements. */
export function listPiece(text: string, item: Piece): Piece {
  return { ...foreignPiece(text, 'list', typeOf(item)), item: bare(item) };
}

/** A row of such fields, whose texts are their values. */
export function rowPiece(fields: readonly RowField[]): Piece {
  const text = `{${fields.map(({ piece: { text: value } }, index) => `'f${index + 1}': ${value}`).join(', ')}}`;
  return { ...foreignPiece(text, 'row'), fields: fields.map(({ name, piece: of }) => ({ name, piece: bare(of) })) };
}

/** A field of a row by its place, from 0. */
export function fieldAt(row: Piece, index: number): Piece | undefined {
  const field = row.fields?.[index];
  return field === undefined ? undefined : { ...field.piece, text: `struct_extract(${row.text}, 'f${index + 1}')` };
}

/** What an element of a list is, with a text of its own. */
export function itemOf(list: Piece, text: string): Piece | undefined {
  return list.item === undefined ? undefined : { ...list.item, text };
}

/** The same value under a name: no constant any more. */
export function referredTo({ written: _, ...of }: Piece, text: string): Piece {
  return { ...of, text, typed: of.typed === undefined ? undefined : standIn(of.typed.type) };
}

/** A kind of value without the value: no constant, no column of a table. */
export function bare({ written: _, ...of }: Piece): Piece {
  return { ...of, text: '', typed: of.typed === undefined ? undefined : standIn(of.typed.type), column: undefined };
}

/** A document of JSON. */
export function documentPiece(text: string, type: DataType): Piece {
  return { ...piece(text, type), document: true };
}

/** The type of a piece, if it is one of the dialect. */
export function typeOf(of: Piece): DataType | undefined {
  return of.typed?.type;
}

/** The literals and parameters of a query: kept beside it as parameters are, so that the compiled binder treats both alike. */
export class Values {
  readonly #cells: Cell[] = [];

  /** A literal as it was written. */
  literal(kind: LiteralKind, text: string, position: Position): Piece {
    const { literal, cell } = literalValue(kind, text);
    return this.#add(literal, literal === 'decimal' ? fractionDigits(text) : 0, { cell, client: false, position });
  }

  /** A value that the client sent. */
  parameter(cell: Cell, position: Position): Piece {
    if (cell === null) return this.#add('null', 0, { cell, client: true, position });
    if (typeof cell === 'boolean') return this.#add('boolean', 0, { cell, client: true, position });
    if (typeof cell === 'bigint') return this.#add('integer', 0, { cell, client: true, position });
    if (typeof cell === 'number') return this.#add('decimal', fractionDigits(String(cell)), { cell, client: true, position });
    return this.#add('string', 0, { cell, client: true, position });
  }

  #add(literal: LiteralKind, scale: number, value: { readonly cell: Cell; readonly client: boolean; readonly position: Position }): Piece {
    const index = this.#cells.push(value.cell);
    return this.settle(parameterNode(index, { literal, scale, client: value.client }, value.position));
  }

  /** The piece for a value, in the type that it has by itself. */
  settle(node: Typed): Piece {
    const text = constantText(this.cellOf(coerce(node, node.type, 'implicit')), node.type);
    return { text, typed: node, foreign: undefined, element: undefined, column: undefined };
  }

  /** The text of a piece in the type, and for a value with the very cell, that the compiled binder made of it. */
  coerced(of: Piece, node: Typed): string {
    if (of.typed === undefined) return of.text;
    if (of.typed.kind === 'value') return constantText(this.cellOf(node), node.type);
    return castText(of.text, of.typed.type, node.type);
  }

  /** The text of a piece as a value of a type. Throws TYPE_MISMATCH. */
  as(of: Piece, type: DataType, purpose: 'implicit' | 'explicit' = 'implicit'): string {
    return of.typed === undefined ? of.text : this.coerced(of, coerce(of.typed, type, purpose));
  }

  /** The texts of pieces as the operands of what the compiled binder made of them. */
  operands(node: Typed, pieces: readonly Piece[]): readonly string[] {
    const made = node.kind === 'operation' ? node.operands : [];
    return pieces.map((of, index) => {
      const operand = made[index];
      return operand === undefined ? of.text : this.coerced(of, operand);
    });
  }

  /** The cell of a value, or `undefined` when the piece is not one. */
  constant(of: Piece): Cell | undefined {
    return of.typed?.kind === 'value' ? this.cellOf(of.typed) : undefined;
  }

  /** The cell of what the compiled binder made of a value. */
  cellOf(node: Typed): Cell {
    return node.evaluate(NO_ROW, parameterContext(this.#cells));
  }
}
