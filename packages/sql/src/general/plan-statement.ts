import { kalamError } from '@kalamdb/protocol';
import { errorPosition } from '../lexer/position.ts';
import { parseNode } from '../parser/postgres/postgres-parser.ts';
import type { GeneralPlan } from './general-plan.ts';
import { planGeneral, shallow, startPlan } from './plan-general.ts';
import type { GeneralRequest } from './unit.ts';
import { planChange } from './write/change.ts';
import { planInsert } from './write/insert.ts';
import { writtenStatement } from './write/statement-parts.ts';
import type { GeneralWritePlan } from './write/write-plan.ts';

/**
 * Plans a SELECT ({@link planGeneral}), or an INSERT, UPDATE or DELETE that needs the general executor: for its rows, for single values, for DO
 * UPDATE. Queries of such a statement are made as those of a SELECT, from its tree; the values that they give are converted as those of every
 * other write are. Throws UNSUPPORTED_STATEMENT for any other statement.
 */
export function planGeneralStatement(text: string, request: GeneralRequest): GeneralPlan | GeneralWritePlan {
  const { unit } = startPlan(text, request);
  const node = unit.at(undefined, () => parseNode(text, unit.source));
  if ('SelectStmt' in node) return planGeneral(text, request);
  const statement = writtenStatement(text, () => startPlan(text, request));
  return unit.at(undefined, () =>
    shallow(() => {
      if ('InsertStmt' in node) return planInsert(node.InsertStmt, statement);
      if ('UpdateStmt' in node) {
        return planChange({ verb: 'update', node: node.UpdateStmt, others: node.UpdateStmt.fromClause ?? [] }, statement);
      }
      if ('DeleteStmt' in node) {
        return planChange({ verb: 'delete', node: node.DeleteStmt, others: node.DeleteStmt.usingClause ?? [] }, statement);
      }
      throw kalamError('UNSUPPORTED_STATEMENT', { statement: text.trim().slice(0, 500) }, { position: errorPosition(text, 0) });
    }),
  );
}
