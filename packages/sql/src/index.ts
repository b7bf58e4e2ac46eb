export { type Accumulator, type AggregateCall, cellIdentity } from './expression/aggregates.ts';
export type { ColumnInfo, EvalContext, InputRow } from './expression/input-row.ts';
export type {
  ColumnNode,
  ConstantNode,
  Evaluator,
  OperationNode,
  Predicate,
  SlotNode,
  Stability,
  Typed,
  ValueNode,
} from './expression/typed.ts';
export { type LiftedLiteral, type LiftedStatement, liftLiterals } from './lexer/lift.ts';
export { errorPosition } from './lexer/position.ts';
export { initParser, parseStatement } from './parser/parse.ts';
export { type Compiled, type CompileRequest, StatementCompiler } from './plan/compiler.ts';
export { checkDefault, evaluateDefault } from './plan/default-value.ts';
export type {
  DeletePlan,
  Grouping,
  InsertPlan,
  KeyBound,
  KeyBounds,
  KeyLookup,
  KeyRangeLookup,
  Plan,
  ResultColumnInfo,
  SelectPlan,
  SortKey,
  SubscriptionPlan,
  UpdatePlan,
} from './plan/plans.ts';
export { columnFlags } from './plan/select.ts';
export { bindSubscription, type SubscriptionRequest } from './plan/subscription.ts';
export type { CatalogView, TableInfo } from './plan/table-info.ts';
export type {
  AccessLevel,
  BinaryOperator,
  ColumnDefinition,
  DefaultValue,
  Expression,
  FlushPolicy,
  LiteralKind,
  OrderItem,
  QualifiedName,
  SelectItem,
  SelectQuery,
  Statement,
  StatementClass,
  StatementKind,
  TableKind,
  TableOptions,
} from './statement/ast.ts';
export { type ClassifiedStatement, classifyStatement } from './statement/classify.ts';
export {
  checkName,
  checkUserName,
  NAME_CHARACTERS_MAX,
  type NamedThing,
  RESERVED_COLUMNS,
  RESERVED_NAMESPACES,
} from './statement/names.ts';
export { type SqlPiece, splitStatements } from './statement/split.ts';
