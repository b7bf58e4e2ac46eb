import type { RangeVar, WithClause } from 'libpg-query';
import type { Converter, Unsupported } from '../../parser/postgres/converter.ts';
import { createConverter } from '../../parser/postgres/expressions.ts';
import { clientParameter } from '../../plan/compiler.ts';
import { notImplemented } from '../../plan/insert.ts';
import type { BindRequest } from '../../plan/scope.ts';
import type { TableInfo } from '../../plan/table-info.ts';
import type { StartedPlan } from '../plan-general.ts';
import { writeCommonTables } from '../query.ts';
import type { Place } from '../scope.ts';

/** A statement that writes, and what its parts are bound with. */
export interface WrittenStatement {
  readonly text: string;
  readonly request: BindRequest;
  readonly converter: Converter;
  /** Begins another query of the statement. */
  start(): StartedPlan;
}

/** See {@link WrittenStatement}. */
export function writtenStatement(text: string, start: () => StartedPlan): WrittenStatement {
  const { plan, unit } = start();
  const { catalog, namespace, parameters } = plan.request;
  return {
    text,
    request: { text, catalog, namespace, parameters: parameters.map(clientParameter) },
    converter: createConverter(unit.source, undefined),
    start,
  };
}

/** Throws NOT_IMPLEMENTED when there is something to refuse. */
export function refuse(part: Unsupported | undefined, { request }: WrittenStatement): void {
  if (part !== undefined) throw notImplemented(part, request);
}

/** A WITH clause as text that others follow, and the place behind it. */
export function withTables(clause: WithClause | undefined, place: Place): { readonly before: string; readonly place: Place } {
  if (clause === undefined) return { before: '', place };
  const { text, inner } = writeCommonTables(clause, place);
  return { before: `${text} `, place: inner };
}

/** The table that a statement writes, as an entry of FROM: no common table can take its place. */
export function tableEntry(relation: RangeVar | undefined, { namespace }: TableInfo): { readonly RangeVar: RangeVar } {
  return { RangeVar: { ...relation, schemaname: namespace } };
}
