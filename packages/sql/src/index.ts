export { type Accumulator, type AggregateCall, cellIdentity } from './expression/aggregates.ts';
export type { ColumnInfo, EvalContext, InputRow } from './expression/input-row.ts';
export type { PreparedValues } from './expression/preparation.ts';
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
export type { GeneralCheck, GeneralOutput, GeneralPlan, GeneralSource } from './general/general-plan.ts';
export { needsGeneral } from './general/needs-general.ts';
export { planGeneral } from './general/plan-general.ts';
export { planGeneralStatement } from './general/plan-statement.ts';
export type { GeneralRequest, ViewText } from './general/unit.ts';
export type {
  BesideReturning,
  GeneralChangePlan,
  GeneralConflict,
  GeneralInsertPlan,
  GeneralWritePlan,
} from './general/write/write-plan.ts';
export { type LiftedLiteral, type LiftedStatement, liftLiterals } from './lexer/lift.ts';
export { errorPosition } from './lexer/position.ts';
export { redactStatement } from './lexer/redact-statement.ts';
export { initParser, parseStatement } from './parser/parse.ts';
export { type Compiled, type CompileRequest, StatementCompiler } from './plan/compiler.ts';
export { checkDefault, evaluateDefault } from './plan/default-value.ts';
export type {
  ConflictPlan,
  DeletePlan,
  DemandedText,
  Grouping,
  InsertPlan,
  KeyBound,
  KeyBounds,
  KeyLookup,
  KeyRangeLookup,
  Plan,
  ResultColumnInfo,
  Returning,
  RoutingCondition,
  RowOrder,
  SelectPlan,
  SortKey,
  SubscriptionPlan,
  UpdatePlan,
  ValuesRows,
  WindowPlan,
} from './plan/plans.ts';
export { columnFlags } from './plan/select.ts';
export { checkSubscriptionShape } from './plan/subscription.ts';
export { type BoundSubscription, type SubscriptionCompileRequest, SubscriptionCompiler } from './plan/subscription-compiler.ts';
export type { CatalogView, TableInfo } from './plan/table-info.ts';
export type {
  AccessLevel,
  AlterOperation,
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
  StorageSettings,
  StorageType,
  TableKind,
  TableOptions,
  VectorMetric,
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
export { type SqlPiece, splitStatements, splitStatementsSteps } from './statement/split.ts';
