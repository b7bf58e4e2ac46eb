import type { A_Expr, BoolExpr, Node } from 'libpg-query';
import type { BinaryOperator, Expression } from '../../statement/ast.ts';
import { type Converter, nameText, unsupportedExpression } from './converter.ts';

const BINARY_OPERATORS: ReadonlySet<string> = new Set<BinaryOperator>([
  '=',
  '<>',
  '<',
  '<=',
  '>',
  '>=',
  '+',
  '-',
  '*',
  '/',
  '%',
  '||',
  '->',
  '->>',
  '?',
]);

function isBinaryOperator(operator: string): operator is BinaryOperator {
  return BINARY_OPERATORS.has(operator);
}

/** AND, OR and NOT. A chain becomes a balanced tree, so that a condition of thousands of terms stays shallow. */
export function convertBoolean(converter: Converter, node: BoolExpr): Expression {
  const position = converter.source.position(node.location);
  const operands = (node.args ?? []).map((argument) => converter.expression(argument));
  const [first] = operands;
  if (first === undefined) return unsupportedExpression('an empty condition', position);
  if (node.boolop === 'NOT_EXPR') return { kind: 'unary', operator: 'not', operand: first, position };
  return balanced(node.boolop === 'AND_EXPR' ? 'and' : 'or', operands, position);
}

function balanced(operator: 'and' | 'or', operands: readonly Expression[], position: number): Expression {
  const [first] = operands;
  if (first !== undefined && operands.length === 1) return first;
  const middle = operands.length >> 1;
  const left = balanced(operator, operands.slice(0, middle), position);
  return { kind: 'binary', operator, left, right: balanced(operator, operands.slice(middle), position), position };
}

/** Everything that the grammar calls an operator, LIKE, IN and BETWEEN included. */
export function convertOperator(converter: Converter, node: A_Expr): Expression {
  const position = converter.source.position(node.location);
  const operator = (node.name ?? []).map(nameText).join('.');
  const { lexpr, rexpr } = node;
  if (rexpr === undefined) return unsupportedExpression('postfix operators', position);
  if (node.kind === 'AEXPR_OP' && lexpr === undefined) return convertPrefix(converter, operator, rexpr, position);
  if (lexpr === undefined) return unsupportedExpression(`operator ${operator}`, position);
  switch (node.kind) {
    case 'AEXPR_OP':
      if (!isBinaryOperator(operator)) return unsupportedExpression(`operator ${operator}`, position);
      return { kind: 'binary', operator, left: converter.expression(lexpr), right: converter.expression(rexpr), position };
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT': {
      const negated = node.kind === 'AEXPR_NOT_DISTINCT';
      return { kind: 'distinct-from', negated, left: converter.expression(lexpr), right: converter.expression(rexpr), position };
    }
    case 'AEXPR_NULLIF': {
      const operands = [converter.expression(lexpr), converter.expression(rexpr)];
      return { kind: 'call', name: 'nullif', arguments: operands, star: false, distinct: false, filter: undefined, position };
    }
    case 'AEXPR_IN':
      return {
        kind: 'in',
        negated: operator === '<>',
        operand: converter.expression(lexpr),
        items: convertList(converter, rexpr),
        position,
      };
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return convertLike(converter, node, { operator, operand: lexpr, pattern: rexpr, position });
    case 'AEXPR_SIMILAR':
      return unsupportedExpression('SIMILAR TO', position);
    case 'AEXPR_OP_ANY':
      return unsupportedExpression('ANY', position);
    case 'AEXPR_OP_ALL':
      return unsupportedExpression('ALL', position);
    default:
      return convertBetween(converter, node, { operand: lexpr, bounds: rexpr, position });
  }
}

function convertPrefix(converter: Converter, operator: string, operand: Node, position: number): Expression {
  if (operator !== '-' && operator !== '+') return unsupportedExpression(`operator ${operator}`, position);
  return { kind: 'unary', operator, operand: converter.expression(operand), position };
}

function convertList(converter: Converter, node: Node): readonly Expression[] {
  const items = 'List' in node ? (node.List.items ?? []) : [node];
  return items.map((item) => converter.expression(item));
}

interface LikeParts {
  readonly operator: string;
  readonly operand: Node;
  readonly pattern: Node;
  readonly position: number;
}

function convertLike(converter: Converter, node: A_Expr, parts: LikeParts): Expression {
  const { pattern } = parts;
  const escaped =
    'FuncCall' in pattern && nameText(pattern.FuncCall.funcname?.[1]) === 'like_escape' ? (pattern.FuncCall.args ?? []) : undefined;
  const [patternNode = pattern, escapeNode] = escaped ?? [];
  return {
    kind: 'like',
    negated: parts.operator.startsWith('!'),
    caseInsensitive: node.kind === 'AEXPR_ILIKE',
    operand: converter.expression(parts.operand),
    pattern: converter.expression(patternNode),
    escape: escapeNode === undefined ? undefined : converter.expression(escapeNode),
    position: parts.position,
  };
}

interface BetweenParts {
  readonly operand: Node;
  readonly bounds: Node;
  readonly position: number;
}

/** SYMMETRIC is the OR of both orders; the plain form would lose what NULL bounds mean. */
function convertBetween(converter: Converter, node: A_Expr, parts: BetweenParts): Expression {
  const { position } = parts;
  const [low, high] = convertList(converter, parts.bounds);
  if (low === undefined || high === undefined) return unsupportedExpression(`operator ${String(node.kind)}`, position);
  const operand = converter.expression(parts.operand);
  const plain = { kind: 'between', operand, position } as const;
  switch (node.kind) {
    case 'AEXPR_BETWEEN':
      return { ...plain, negated: false, low, high };
    case 'AEXPR_NOT_BETWEEN':
      return { ...plain, negated: true, low, high };
    case 'AEXPR_BETWEEN_SYM':
    case 'AEXPR_NOT_BETWEEN_SYM': {
      const negated = node.kind === 'AEXPR_NOT_BETWEEN_SYM';
      const operator = negated ? 'and' : 'or';
      return {
        kind: 'binary',
        operator,
        left: { ...plain, negated, low, high },
        right: { ...plain, negated, low: high, high: low },
        position,
      };
    }
    default:
      return unsupportedExpression(`operator ${String(node.kind)}`, position);
  }
}
