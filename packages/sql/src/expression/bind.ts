import { KalamError, kalamError, plainType, sqlTypeName } from '@kalamdb/protocol';
import { errorPosition } from '../lexer/position.ts';
import type { BinaryOperator, Expression } from '../statement/ast.ts';
import { isAggregate } from './aggregates.ts';
import { type ArithmeticOperator, arithmetic, identity, negation } from './arithmetic.ts';
import { coerce } from './common-type.ts';
import { type ComparisonOperator, comparison } from './comparison.ts';
import { functionCall, isScalarFunction } from './functions/registry.ts';
import { textConcatenation } from './functions/text-functions.ts';
import { jsonOperator, refuseJoinedDocuments } from './json-operators.ts';
import { like } from './like.ts';
import { caseOf, coalesce, condition, conjunction, disjunction, distinctFrom, extreme, is, not, nullif } from './logic.ts';
import { membership } from './membership.ts';
import { connectiveOperands } from './syntax-tree.ts';
import { isTextual } from './type-families.ts';
import { operation, type Typed } from './typed.ts';
import { literalNode, type ParameterInfo, parameterNode } from './value.ts';

/** Deepest nesting of an expression; chains of AND and of OR count as one level. */
const DEPTH_MAX = 400;

/** A column reference of the syntax tree. */
export type ColumnReference = Extract<Expression, { kind: 'column' }>;

/** A call of the syntax tree. */
export type CallExpression = Extract<Expression, { kind: 'call' }>;

/** What an expression is bound against. */
export interface Scope {
  /** The statement's text, for the positions of errors. */
  readonly text: string;
  readonly parameters: readonly ParameterInfo[];
  /** Resolves a name. Throws COLUMN_NOT_FOUND and its like. */
  column(reference: ColumnReference): Typed;
  /** Resolves an aggregate call. Throws AGGREGATE_MISUSE where there are none. */
  aggregate(call: CallExpression): Typed;
  /** Takes an expression's place, for example that of one that is a group key. */
  replace?(expression: Expression): Typed | undefined;
}

/**
 * Binds an expression: resolves its names, gives it a type and compiles it. Errors carry the position of the innermost
 * expression that is wrong.
 */
export function bindExpression(expression: Expression, scope: Scope): Typed {
  return new Binder(scope).bind(expression, 0);
}

/** Binds a condition (WHERE, HAVING, FILTER). */
export function bindCondition(expression: Expression, scope: Scope, where: string): Typed {
  return atPosition(scope.text, expression.position, () => condition(bindExpression(expression, scope), where));
}

/** Runs `work`; an error of it that has no position gets this one. */
export function atPosition<T>(text: string, offset: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof KalamError) || error.position !== undefined) throw error;
    throw new KalamError(error.code, error.message, { cause: error, position: errorPosition(text, offset) });
  }
}

class Binder {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  bind(expression: Expression, depth: number): Typed {
    if (depth > DEPTH_MAX) throw kalamError('INVALID_OPERATION', { reason: `the expression is nested more than ${DEPTH_MAX} levels deep` });
    const replaced = this.#scope.replace?.(expression);
    if (replaced !== undefined) return replaced;
    return atPosition(this.#scope.text, expression.position, () => this.#bind(expression, depth + 1));
  }

  #bind(expression: Expression, depth: number): Typed {
    const { position } = expression;
    switch (expression.kind) {
      case 'literal':
        return literalNode(expression.literal, expression.text, position);
      case 'parameter':
        return this.#parameter(expression.index, position);
      case 'column':
        return this.#scope.column(expression);
      case 'unary':
        return this.#unary(expression, depth);
      case 'binary':
        return this.#binary(expression, depth);
      case 'is':
        return is(expression.what, this.bind(expression.operand, depth), expression.negated, position);
      case 'distinct-from':
        return distinctFrom(this.bind(expression.left, depth), this.bind(expression.right, depth), expression.negated, position);
      case 'between':
        return this.#between(expression, depth);
      case 'in':
        return this.#in(expression, depth);
      case 'like':
        return this.#like(expression, depth);
      case 'case':
        return this.#case(expression, depth);
      case 'cast':
        return coerce(this.bind(expression.operand, depth), expression.type, 'explicit');
      case 'call':
        return this.#call(expression, depth);
      case 'unsupported':
        throw kalamError('NOT_IMPLEMENTED', { what: expression.what });
      default:
        return expression satisfies never;
    }
  }

  #parameter(index: number, position: number): Typed {
    const { parameters } = this.#scope;
    const info = parameters[index - 1];
    if (info === undefined) {
      throw kalamError('PARAMETER_COUNT_MISMATCH', { expected: index, count: parameters.filter((parameter) => parameter.client).length });
    }
    return parameterNode(index, info, position);
  }

  #unary({ operator, operand, position }: Extract<Expression, { kind: 'unary' }>, depth: number): Typed {
    const inner = this.bind(operand, depth);
    if (operator === 'not') return not(condition(inner, 'NOT'), position);
    return operator === '-' ? negation(inner, position) : identity(inner);
  }

  #binary(expression: Extract<Expression, { kind: 'binary' }>, depth: number): Typed {
    const { operator, position } = expression;
    if (operator === 'and' || operator === 'or') {
      const operands = connectiveOperands(expression).map((operand) => {
        const bound = this.bind(operand, depth);
        return atPosition(this.#scope.text, operand.position, () => condition(bound, operator.toUpperCase()));
      });
      return operator === 'and' ? conjunction(operands, position) : disjunction(operands, position);
    }
    return binaryOperation(operator, this.bind(expression.left, depth), this.bind(expression.right, depth), position);
  }

  #between(expression: Extract<Expression, { kind: 'between' }>, depth: number): Typed {
    const { position, negated } = expression;
    const operand = this.bind(expression.operand, depth);
    const low = comparison('>=', operand, this.bind(expression.low, depth), position);
    const high = comparison('<=', operand, this.bind(expression.high, depth), position);
    const inside = conjunction([low, high], position);
    return negated ? not(inside, position) : inside;
  }

  #in(expression: Extract<Expression, { kind: 'in' }>, depth: number): Typed {
    const items = expression.items.map((item) => this.bind(item, depth));
    const inside = membership(this.bind(expression.operand, depth), items, expression.position);
    return expression.negated ? not(inside, expression.position) : inside;
  }

  #like(expression: Extract<Expression, { kind: 'like' }>, depth: number): Typed {
    const { position, caseInsensitive } = expression;
    const escaper = expression.escape === undefined ? undefined : this.bind(expression.escape, depth);
    const operand = this.bind(expression.operand, depth);
    const matched = like({ operand, pattern: this.bind(expression.pattern, depth), escaper, caseInsensitive }, position);
    return expression.negated ? not(matched, position) : matched;
  }

  #case(expression: Extract<Expression, { kind: 'case' }>, depth: number): Typed {
    const { subject, position } = expression;
    const tested = subject === undefined ? undefined : this.bind(subject, depth);
    const branches = expression.branches.map((branch) => {
      const when = this.bind(branch.when, depth);
      return { when: tested === undefined ? when : comparison('=', tested, when, position), result: this.bind(branch.then, depth) };
    });
    return caseOf(branches, expression.otherwise === undefined ? undefined : this.bind(expression.otherwise, depth), position);
  }

  #call(expression: CallExpression, depth: number): Typed {
    const { name, position } = expression;
    if (isAggregate(name)) return this.#scope.aggregate(expression);
    if (expression.star || expression.distinct || expression.filter !== undefined) {
      if (!isScalarFunction(name)) throw kalamError('FUNCTION_NOT_FOUND', { name });
      throw kalamError('AGGREGATE_MISUSE', { reason: `${name} is not an aggregate function: it takes no *, DISTINCT or FILTER` });
    }
    const operands = expression.arguments.map((argument) => this.bind(argument, depth));
    return specialCall(name, operands, position) ?? functionCall(name, operands, position);
  }
}

function binaryOperation(operator: Exclude<BinaryOperator, 'and' | 'or'>, left: Typed, right: Typed, position: number): Typed {
  switch (operator) {
    case '=':
    case '<>':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return comparison(operator satisfies ComparisonOperator, left, right, position);
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return arithmetic(operator satisfies ArithmeticOperator, left, right, position);
    case '||':
      return concatenation(left, right, position);
    case '->':
    case '->>':
    case '?':
      return jsonOperator(operator, left, right, position);
    default:
      return operator satisfies never;
  }
}

function concatenation(left: Typed, right: Typed, position: number): Typed {
  const text = plainType('text');
  refuseJoinedDocuments(left, right);
  if (!isTextual(left.type) && !isTextual(right.type)) {
    throw kalamError('TYPE_MISMATCH', { reason: `|| takes texts, not ${sqlTypeName(left.type)} and ${sqlTypeName(right.type)}` });
  }
  const operands = [left, right].map((node) =>
    node.kind === 'value' ? coerce(node, isTextual(node.type) ? text : node.type, 'implicit') : node,
  );
  const join = textConcatenation(operands.map((node) => node.type));
  return operation({
    name: '||',
    type: text,
    operands,
    position,
    build: (a, b) => (row, context) => {
      const x = a(row, context);
      const y = b(row, context);
      return x === null || y === null ? null : join(x, y);
    },
  });
}

/** Functions whose result type or evaluation depends on all of their arguments. */
function specialCall(name: string, operands: readonly Typed[], position: number): Typed | undefined {
  const [first, second] = operands;
  switch (name) {
    case 'coalesce':
    case 'ifnull':
    case 'nvl':
      return operands.length === 0 ? undefined : coalesce(operands, position);
    case 'greatest':
    case 'least':
      return operands.length === 0 ? undefined : extreme(name, operands, position);
    case 'nullif':
      return first === undefined || second === undefined || operands.length > 2 ? undefined : nullif(first, second, position);
    case 'mod':
      return first === undefined || second === undefined || operands.length > 2 ? undefined : arithmetic('%', first, second, position);
    default:
      return undefined;
  }
}
