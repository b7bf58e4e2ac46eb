import { type Cell, cellsEqual, compareCells, kalamError, plainType, sqlTypeName } from '@kalamdb/protocol';
import type { Position } from '../statement/ast.ts';
import { coerce, unifiedType } from './common-type.ts';
import { comparison, meet } from './comparison.ts';
import { constant, type Evaluator, operation, type Typed } from './typed.ts';

const boolean = plainType('boolean');

/** The expression as a condition. Texts as written must spell a boolean; anything else that is not BOOLEAN is TYPE_MISMATCH. */
export function condition(node: Typed, where: string): Typed {
  if (node.kind === 'value') return coerce(node, boolean, 'implicit');
  if (node.type.kind === 'boolean') return node;
  throw kalamError('TYPE_MISMATCH', { reason: `argument of ${where} must be BOOLEAN, not ${sqlTypeName(node.type)}` });
}

/** AND of two or more conditions: FALSE if one is FALSE, else NULL if one is NULL. Operands run in the order written. */
export function conjunction(operands: readonly Typed[], position: Position): Typed {
  return operation({ name: 'and', type: boolean, operands, position, build: (...parts) => connective(parts, false) });
}

/** OR of two or more conditions: TRUE if one is TRUE, else NULL if one is NULL. */
export function disjunction(operands: readonly Typed[], position: Position): Typed {
  return operation({ name: 'or', type: boolean, operands, position, build: (...parts) => connective(parts, true) });
}

function connective(parts: readonly Evaluator[], decisive: boolean): Evaluator {
  const [first, second] = parts;
  if (parts.length === 2 && first !== undefined && second !== undefined) {
    return (row, context) => {
      const a = first(row, context);
      if (a === decisive) return decisive;
      const b = second(row, context);
      if (b === decisive) return decisive;
      return a === null || b === null ? null : !decisive;
    };
  }
  return (row, context) => {
    let unknown = false;
    for (const part of parts) {
      const cell = part(row, context);
      if (cell === decisive) return decisive;
      if (cell === null) unknown = true;
    }
    return unknown ? null : !decisive;
  };
}

/** NOT: NULL stays NULL. */
export function not(operand: Typed, position: Position): Typed {
  return operation({
    name: 'not',
    type: boolean,
    operands: [operand],
    position,
    build: (inner) => (row, context) => {
      const cell = inner(row, context);
      return cell === null ? null : !cell;
    },
  });
}

/** `IS [NOT] NULL | TRUE | FALSE | UNKNOWN`: never NULL itself. */
export function is(what: 'null' | 'true' | 'false' | 'unknown', operand: Typed, negated: boolean, position: Position): Typed {
  const tested = what === 'null' ? operand : condition(operand, `IS ${what.toUpperCase()}`);
  const wanted = what === 'null' || what === 'unknown' ? null : what === 'true';
  const build = negated
    ? (inner: Evaluator): Evaluator =>
        (row, context) =>
          inner(row, context) !== wanted
    : (inner: Evaluator): Evaluator =>
        (row, context) =>
          inner(row, context) === wanted;
  return operation({ name: `is ${negated ? 'not ' : ''}${what}`, type: boolean, operands: [tested], position, build });
}

/** `IS [NOT] DISTINCT FROM`: equality in which NULL equals NULL. `negated` is IS NOT DISTINCT FROM. */
export function distinctFrom(left: Typed, right: Typed, negated: boolean, position: Position): Typed {
  const [a, b] = left.kind === 'value' && right.kind !== 'value' ? meet(right, left, 'exact') : meet(left, right, 'exact');
  return operation({
    name: negated ? 'is not distinct from' : 'is distinct from',
    type: boolean,
    operands: [a, b],
    position,
    build: (x, y) => (row, context) => cellsEqual(x(row, context), y(row, context)) === negated,
  });
}

/** A branch of CASE. */
export interface CaseBranch {
  readonly when: Typed;
  readonly result: Typed;
}

/** CASE WHEN: the first branch whose condition is TRUE; only what is needed is evaluated. */
export function caseOf(branches: readonly CaseBranch[], otherwise: Typed | undefined, position: Position): Typed {
  const results = [...branches.map((branch) => branch.result), ...(otherwise === undefined ? [] : [otherwise])];
  const type = unifiedType(results, 'CASE');
  const conditions = branches.map((branch) => condition(branch.when, 'WHEN'));
  const values = results.map((node) => coerce(node, type, 'implicit'));
  if (otherwise === undefined) values.push(constant(type, null, position));
  return operation({
    name: 'case',
    type,
    operands: [...conditions, ...values],
    position,
    build: (...parts) => firstTrue(parts, conditions.length),
  });
}

function firstTrue(parts: readonly Evaluator[], branches: number): Evaluator {
  const whens = parts.slice(0, branches);
  const values = parts.slice(branches);
  return (row, context) => {
    for (let i = 0; i < whens.length; i += 1) {
      if (whens[i]?.(row, context) === true) return values[i]?.(row, context) ?? null;
    }
    return values[branches]?.(row, context) ?? null;
  };
}

/** COALESCE: the first that is not NULL. */
export function coalesce(operands: readonly Typed[], position: Position): Typed {
  const type = unifiedType(operands, 'COALESCE');
  return operation({
    name: 'coalesce',
    type,
    operands: operands.map((node) => coerce(node, type, 'implicit')),
    position,
    build:
      (...parts) =>
      (row, context) => {
        for (const part of parts) {
          const cell = part(row, context);
          if (cell !== null) return cell;
        }
        return null;
      },
  });
}

/** NULLIF: NULL if both are equal, else the first. A NULL as written takes the type of the second. */
export function nullif(first: Typed, right: Typed, position: Position): Typed {
  const left = first.kind === 'value' && first.literal === 'null' ? constant(right.type, null, first.position) : first;
  const equal = comparison('=', left, right, position);
  return operation({
    name: 'nullif',
    type: left.type,
    operands: [left, equal],
    position,
    build: (value, same) => (row, context) => (same(row, context) === true ? null : value(row, context)),
  });
}

/** GREATEST and LEAST: NULLs are passed over; NULL only if all are. */
export function extreme(name: 'greatest' | 'least', operands: readonly Typed[], position: Position): Typed {
  const type = unifiedType(operands, name.toUpperCase());
  const values = operands.map((node) => coerce(node, type, 'implicit'));
  const compare = compareCells(type);
  const sign = name === 'greatest' ? 1 : -1;
  return operation({
    name,
    type,
    operands: values,
    position,
    build:
      (...parts) =>
      (row, context) => {
        let best: Cell = null;
        for (const part of parts) {
          const cell = part(row, context);
          if (cell !== null && (best === null || compare(cell, best) * sign > 0)) best = cell;
        }
        return best;
      },
  });
}
