import { sqlTypeName } from '@kalamdb/protocol';
import type { Expression } from '../statement/ast.ts';
import { isAggregate } from './aggregates.ts';

/** The expressions directly below an expression, in the order written. */
function subexpressions(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'parameter':
    case 'column':
    case 'unsupported':
      return [];
    case 'unary':
    case 'is':
    case 'cast':
      return [expression.operand];
    case 'binary':
    case 'distinct-from':
      return [expression.left, expression.right];
    case 'between':
      return [expression.operand, expression.low, expression.high];
    case 'in':
      return [expression.operand, ...expression.items];
    case 'like':
      return [expression.operand, expression.pattern, ...present(expression.escape)];
    case 'case':
      return [
        ...present(expression.subject),
        ...expression.branches.flatMap((branch) => [branch.when, branch.then]),
        ...present(expression.otherwise),
      ];
    case 'call':
      return [...expression.arguments, ...present(expression.filter)];
    default:
      return expression satisfies never;
  }
}

function present(expression: Expression | undefined): readonly Expression[] {
  return expression === undefined ? [] : [expression];
}

/** The operands of a chain of ANDs or of ORs, left to right, however long the chain is. */
export function connectiveOperands(expression: Extract<Expression, { kind: 'binary' }>): readonly Expression[] {
  const operands: Expression[] = [];
  const pending: Expression[] = [expression];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (next.kind === 'binary' && next.operator === expression.operator) pending.push(next.right, next.left);
    else operands.push(next);
  }
  return operands;
}

/** The expression and all inside it. */
function* everyExpression(expression: Expression): Generator<Expression> {
  const pending: Expression[] = [expression];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    for (const child of subexpressions(next)) pending.push(child);
  }
}

/** Whether the expression or one inside it satisfies the test. */
function someExpression(expression: Expression, test: (expression: Expression) => boolean): boolean {
  for (const node of everyExpression(expression)) if (test(node)) return true;
  return false;
}

/** A part of the expression that the compiled executor does not run. */
export function unsupportedPart(expression: Expression): Extract<Expression, { kind: 'unsupported' }> | undefined {
  for (const node of everyExpression(expression)) if (node.kind === 'unsupported') return node;
  return undefined;
}

/** Whether the expression calls an aggregate. */
export function callsAggregate(expression: Expression): boolean {
  return someExpression(expression, (node) => node.kind === 'call' && isAggregate(node.name));
}

/** Whether the expression names a column (in whatever table). */
export function mentionsColumn(expression: Expression, name: string): boolean {
  return someExpression(expression, (node) => node.kind === 'column' && node.name === name);
}

/**
 * A spelling that is the same for expressions that mean the same words: positions, white space and the qualifiers of
 * columns (there is one table) are left out. `a + 1` and `t.a+1` are both `(binary + (column "a") (literal integer "1"))`.
 */
export function canonical(expression: Expression): string {
  const head = [expression.kind, ...words(expression)].join(' ');
  const connective = expression.kind === 'binary' && (expression.operator === 'and' || expression.operator === 'or');
  const parts = (connective ? connectiveOperands(expression) : subexpressions(expression)).map(canonical);
  return parts.length === 0 ? `(${head})` : `(${head} ${parts.join(' ')})`;
}

function words(expression: Expression): readonly string[] {
  switch (expression.kind) {
    case 'literal':
      return [expression.literal, JSON.stringify(expression.text)];
    case 'parameter':
      return [String(expression.index)];
    case 'column':
      return [JSON.stringify(expression.name)];
    case 'unary':
    case 'binary':
      return [expression.operator];
    case 'is':
      return [String(expression.negated), expression.what];
    case 'distinct-from':
    case 'between':
    case 'in':
      return [String(expression.negated)];
    case 'like':
      return [String(expression.negated), String(expression.caseInsensitive), String(expression.escape !== undefined)];
    case 'case':
      return [String(expression.branches.length), String(expression.subject !== undefined)];
    case 'cast':
      return [sqlTypeName(expression.type)];
    case 'call':
      return [expression.name, String(expression.star), String(expression.distinct), String(expression.filter !== undefined)];
    case 'unsupported':
      return [JSON.stringify(expression.what)];
    default:
      return expression satisfies never;
  }
}

/** The name of a result column that was not given one, as PostgreSQL chooses it; but `count(*)` is called as it is written. */
export function outputName(expression: Expression): string {
  switch (expression.kind) {
    case 'column':
      return expression.name;
    case 'call':
      return expression.star ? `${expression.name}(*)` : expression.name;
    case 'cast': {
      const inner = outputName(expression.operand);
      return inner === NAMELESS ? expression.type.kind : inner;
    }
    case 'case': {
      const inner = expression.otherwise === undefined ? NAMELESS : outputName(expression.otherwise);
      return inner === NAMELESS ? 'case' : inner;
    }
    default:
      return NAMELESS;
  }
}

const NAMELESS = '?column?';
