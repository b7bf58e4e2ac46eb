import { type Cell, KalamError } from '@kalamdb/protocol';
import { type EvalContext, type InputRow, parameterContext } from '../expression/input-row.ts';
import type { Typed } from '../expression/typed.ts';
import { columnCondition, conjuncts, evaluateFixed, keyConditions } from './key-lookup.ts';
import type { DemandedText, InsertPlan, Plan, SelectPlan } from './plans.ts';
import { toPredicate } from './predicate.ts';
import type { TableInfo } from './table-info.ts';

/** The parts of a plan that come from its WHERE clause. */
export type WhereParts = Pick<SelectPlan, 'keys' | 'keyRange' | 'filter' | 'mentionsDeleted' | 'texts' | 'demanded'>;

/** What a bound WHERE clause says. */
export function whereParts(where: Typed | undefined, table: TableInfo | undefined): WhereParts {
  if (where === undefined)
    return { keys: undefined, keyRange: undefined, filter: undefined, mentionsDeleted: false, texts: [], demanded: [] };
  const conditions = table === undefined ? { keys: undefined, keyRange: undefined } : keyConditions(table, where);
  return {
    ...conditions,
    filter: toPredicate(where),
    mentionsDeleted: mentionsDeleted(where),
    texts: liftedTexts(where),
    demanded: demandedTexts(where, table),
  };
}

/** The texts that columns of a system table must equal; other tables are not asked, as none of their rows are computed. */
function demandedTexts(where: Typed, table: TableInfo | undefined): readonly DemandedText[] {
  if (table?.kind !== 'system') return [];
  return conjuncts(where).flatMap((part) => {
    const condition = columnCondition(part);
    const column = condition === undefined ? undefined : table.columns[condition.index];
    if (condition?.operator !== '=' || column?.type.kind !== 'text') return [];
    const text = (context: EvalContext): string | undefined => {
      const cell = evaluateFixed(condition.value, context);
      return typeof cell === 'string' ? cell : undefined;
    };
    return [{ column: column.name, text }];
  });
}

/**
 * Whether a condition says which tombstones it wants. A part of it that is true for them and for live rows alike
 * (`_deleted IN (true, false)`) says nothing.
 */
export function mentionsDeleted(where: Typed): boolean {
  const found = reading(where);
  return found === 'deleted' || found === 'wanted';
}

/** What an expression reads: nothing; only `_deleted`; other columns or values of the execution; `_deleted` and others. */
type Reading = 'nothing' | 'deleted' | 'others' | 'wanted';

function reading(node: Typed): Reading {
  if (node.kind === 'column') return node.column.system === '_deleted' ? 'deleted' : 'others';
  if (node.stability === 'constant') return 'nothing';
  if (node.kind !== 'operation') return 'others';
  const readings = new Set(node.operands.map(reading));
  if (readings.has('wanted') || (readings.has('deleted') && (readings.has('others') || node.stability === 'volatile'))) return 'wanted';
  if (!readings.has('deleted')) return 'others';
  return isTrue(node, true) && isTrue(node, false) ? 'nothing' : 'deleted';
}

function isTrue(node: Typed, deleted: boolean): boolean {
  const row: InputRow = { cells: [], seq: 0n, deleted };
  try {
    return node.evaluate(row, parameterContext([])) === true;
  } catch (error) {
    if (error instanceof KalamError) return false;
    throw error;
  }
}

/** The literals of a condition that are texts to be read as values of another type. */
function liftedTexts(where: Typed): readonly Typed[] {
  const found: Typed[] = [];
  const pending: Typed[] = [where];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.kind !== 'operation') continue;
    for (const operand of node.operands) pending.push(operand);
    const [value] = node.operands;
    const lifted = value?.kind === 'value' && 'parameter' in value.source && !value.source.client;
    if (node.name === 'value' && lifted && value.literal === 'string' && node.type.kind !== 'text') found.push(node);
  }
  return found;
}

function insertTexts({ source, conflict }: InsertPlan): readonly Typed[] {
  const own = conflict?.kind === 'update' ? conflict.texts : [];
  return source === undefined ? own : [...source.texts, ...own];
}

/** Whether all texts of a plan's WHERE clause can be read as what they are compared with. */
export function textsAreValid(plan: Plan, parameters: readonly Cell[]): boolean {
  const texts = plan.kind === 'insert' ? insertTexts(plan) : plan.texts;
  if (texts.length === 0) return true;
  const context = parameterContext(parameters);
  try {
    for (const node of texts) evaluateFixed(node, context);
    return true;
  } catch (error) {
    if (error instanceof KalamError) return false;
    throw error;
  }
}
