import { kalamError } from '@kalamdb/protocol';
import { bindExpression, type ColumnReference, type Scope } from '../../expression/bind.ts';
import { outputName } from '../../expression/syntax-tree.ts';
import type { Typed } from '../../expression/typed.ts';
import { checkReturning, returningOfNodes } from '../../plan/returning.ts';
import { type BindRequest, rowScope, storedColumnNode } from '../../plan/scope.ts';
import type { TableInfo } from '../../plan/table-info.ts';
import type { SelectItem } from '../../statement/ast.ts';
import { type Piece, typeOf } from '../piece.ts';
import { type NamedPiece, names, type Place, type Relation, resolveColumn } from '../scope.ts';
import type { RowSetText } from './row-set-text.ts';
import type { BesideReturning } from './write-plan.ts';

/** What RETURNING stands in. */
export interface ReturningPlace {
  readonly table: TableInfo;
  /** The table as the statement's expressions see it: the last relation of the scope. */
  readonly own: Relation;
  /** Where the expressions of the statement stand. */
  readonly place: Place;
  readonly rows: RowSetText;
  readonly request: BindRequest;
}

interface NamedNode {
  readonly name: string;
  readonly node: Typed;
}

/**
 * Binds RETURNING of an UPDATE or DELETE with further tables: columns of the table are those of the written row, columns of others are
 * added to the row set. It is computed by the compiled executor; what that does not run is NOT_IMPLEMENTED.
 */
export function writeReturning(items: readonly SelectItem[] | undefined, at: ReturningPlace): BesideReturning | undefined {
  return items === undefined ? undefined : new ReturningWriter(at).write(items);
}

class ReturningWriter {
  readonly #at: ReturningPlace;
  readonly #besideFrom: number;
  readonly #stored: number;
  readonly #own: Scope;
  readonly #scope: Scope;
  /** Texts of the columns of other tables in the order of their cells. */
  readonly #beside: string[] = [];

  constructor(at: ReturningPlace) {
    const { table, request, rows } = at;
    this.#at = at;
    this.#besideFrom = rows.width;
    this.#stored = table.columns.filter(({ system }) => system === undefined).length;
    this.#own = rowScope(request, { table, alias: undefined }, 'RETURNING');
    this.#scope = { ...this.#own, column: (reference) => this.#column(reference) };
  }

  write(items: readonly SelectItem[]): BesideReturning {
    const { table, request } = this.#at;
    checkReturning(items, request.text);
    const nodes = items.flatMap((item) => this.#item(item));
    return { ...returningOfNodes(nodes, { table, alias: undefined }, request), besideFrom: this.#besideFrom };
  }

  #item(item: SelectItem): readonly NamedNode[] {
    if (item.kind === 'expression') {
      return [{ name: item.alias ?? outputName(item.expression), node: bindExpression(item.expression, this.#scope) }];
    }
    const { position } = item;
    return this.#starred(item.qualifier?.toLowerCase()).map(({ name, piece }) => ({ name, node: this.#node(piece, name, position) }));
  }

  /** The columns of `*`: the table's own first. */
  #starred(qualifier: string | undefined): readonly NamedPiece[] {
    const { own, place } = this.#at;
    const [visible] = place.scopes;
    if (visible === undefined) return own.columns;
    if (qualifier === undefined) return [...own.columns, ...visible.columns.slice(0, -own.columns.length)];
    const relation = visible.relations.find((candidate) => names(candidate, [qualifier]));
    if (relation === undefined) throw kalamError('TABLE_NOT_FOUND', { table: qualifier });
    return relation.columns;
  }

  #column({ qualifier, name, position }: ColumnReference): Typed {
    const { place } = this.#at;
    const lowered = qualifier.map((part) => part.toLowerCase());
    return this.#node(resolveColumn(lowered, name, place), name, position);
  }

  #node(piece: Piece, name: string, position: number): Typed {
    const { own, rows } = this.#at;
    const mine = [...own.columns, ...own.hidden].find((column) => column.piece.text === piece.text);
    if (mine !== undefined) return this.#own.column({ kind: 'column', qualifier: [], name: mine.name, position });
    const type = typeOf(piece);
    if (type === undefined) throw kalamError('NOT_IMPLEMENTED', { what: `column ${name} in RETURNING` });
    const known = this.#beside.indexOf(piece.text);
    const at = known < 0 ? this.#beside.push(piece.text) - 1 : known;
    if (known < 0) rows.add(piece.text, type);
    const computed = { id: 0, name, type, nullable: true, primaryKey: false, default: undefined, system: undefined };
    return storedColumnNode({ ...(piece.column ?? computed), type, system: undefined }, this.#stored + at, position);
  }
}
