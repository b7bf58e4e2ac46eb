import { type Cell, type DataType, jsonString, type Row } from '@kalamdb/protocol';
import { cellIdentity, type EvalContext, type InputRow, type SelectPlan } from '@kalamdb/sql';

/** Makes output rows, hidden columns included. */
export function projector(plan: SelectPlan, context: EvalContext): (row: InputRow) => Row {
  if (plan.star && plan.table !== undefined && plan.projection.length === plan.columns.length) return starProjector(plan.table.columns);
  const evaluators = plan.projection.map((node) => node.evaluate);
  return (row) => {
    const cells: Cell[] = [];
    for (const evaluate of evaluators) cells.push(evaluate(row, context));
    return cells;
  };
}

/** `SELECT *`: the stored cells and the system columns; on tables without them the cells as they are, less those that are hidden. */
function starProjector(columns: readonly { readonly system: '_seq' | '_deleted' | undefined }[]): (row: InputRow) => Row {
  const system = columns.flatMap((column) => (column.system === undefined ? [] : [column.system]));
  const stored = columns.length - system.length;
  if (system.length === 0) return ({ cells }) => (cells.length === stored ? cells : cells.slice(0, stored));
  return (row) => {
    const { cells } = row;
    const projected: Cell[] = [];
    for (let i = 0; i < stored; i += 1) projected.push(cells[i] ?? null);
    for (const column of system) projected.push(column === '_seq' ? row.seq : row.deleted);
    return projected;
  };
}

/** What stands for a row in a set: the cell of a single column, else a text of all cells. NULL equals NULL. */
export function rowIdentity(types: readonly DataType[]): (row: Row) => Cell {
  const identities = types.map(cellIdentity);
  const [only] = identities;
  if (types.length === 1 && only !== undefined) {
    return ([cell = null]) => (cell === null ? null : only(cell));
  }
  return (row) => {
    let text = '';
    for (const [index, identity] of identities.entries()) {
      const cell = row[index] ?? null;
      text += cell === null ? 'n;' : part(identity(cell));
    }
    return text;
  };
}

function part(cell: Cell): string {
  if (typeof cell === 'string') return `${jsonString(cell)};`;
  return cell === 0 ? '0;' : `${String(cell)};`;
}
