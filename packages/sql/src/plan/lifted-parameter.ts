import type { Cell } from '@kalamdb/protocol';
import { fractionDigits, literalValue, type ParameterInfo } from '../expression/value.ts';
import type { LiftedLiteral } from '../lexer/lift.ts';

/** A literal as a parameter. */
export interface LiftedParameter {
  readonly cell: Cell;
  readonly info: ParameterInfo;
}

/** Makes a parameter of a literal that was taken out of a text. */
export function liftedParameter(literal: LiftedLiteral): LiftedParameter {
  const value = literalValue(literal.kind, literal.text);
  const scale = value.literal === 'decimal' ? fractionDigits(literal.text) : 0;
  return { cell: value.cell, info: { literal: value.literal, scale, client: false } };
}

/** What a plan depends on of its parameters' kinds, spelled: part of the key of a plan that is kept. */
export function parameterKinds(parameters: readonly Pick<LiftedParameter, 'info'>[]): string {
  let kinds = '';
  for (const { info } of parameters) kinds += info.literal === 'decimal' ? `d${info.scale}` : info.literal.charAt(0);
  return kinds;
}
