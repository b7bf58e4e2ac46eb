import { type Cell, type DataType, kalamError, type NonNullCell, plainType } from '@kalamdb/protocol';
import type { Position } from '../../statement/ast.ts';
import { coerce, coercible } from '../common-type.ts';
import { isInstant, isInteger, isNumeric, isTextual } from '../type-families.ts';
import { type Evaluator, operation, type Typed } from '../typed.ts';
import { CONTEXT_FUNCTIONS } from './context-functions.ts';
import type { ArgumentKind, FunctionFamily, FunctionOverload } from './function-spec.ts';
import { JSON_FUNCTIONS } from './json-functions.ts';
import { NUMBER_FUNCTIONS } from './number-functions.ts';
import { TEXT_FUNCTIONS } from './text-functions.ts';
import { TIME_FUNCTIONS } from './time-functions.ts';
import { VECTOR_FUNCTIONS } from './vector-functions.ts';

const FUNCTIONS: ReadonlyMap<string, readonly FunctionOverload[]> = new Map(
  [CONTEXT_FUNCTIONS, TEXT_FUNCTIONS, NUMBER_FUNCTIONS, TIME_FUNCTIONS, JSON_FUNCTIONS, VECTOR_FUNCTIONS].flatMap(
    (family: FunctionFamily) => Object.entries(family),
  ),
);

/** Whether a name (lower case) is that of a scalar function, whatever its arguments. */
export function isScalarFunction(name: string): boolean {
  return FUNCTIONS.has(name);
}

/** A call of a scalar function. Throws FUNCTION_NOT_FOUND when the name is unknown or no overload takes the arguments. */
export function functionCall(name: string, operands: readonly Typed[], position: Position): Typed {
  // The part that fits a pattern is the general executor's.
  if (name === 'substring' && operands.length === 2 && operands[1] !== undefined && isTextual(operands[1].type)) {
    throw kalamError('FUNCTION_NOT_FOUND', { name });
  }
  for (const overload of FUNCTIONS.get(name) ?? []) {
    const kinds = kindsFor(overload, operands.length);
    if (kinds === undefined || !operands.every((operand, index) => accepts(operand, kinds[index] ?? 'any'))) continue;
    const values = operands.map((operand, index) => delivered(operand, kinds[index] ?? 'any'));
    const type = typeof overload.result === 'function' ? overload.result(values) : overload.result;
    const build = bodyBuilder(overload, values);
    return operation({ name, type, operands: values, position, stability: overload.stability ?? 'constant', build });
  }
  throw kalamError('FUNCTION_NOT_FOUND', { name });
}

function kindsFor(overload: FunctionOverload, count: number): readonly ArgumentKind[] | undefined {
  const { arguments: fixed, optional = 0, rest } = overload;
  if (count < fixed.length - optional) return undefined;
  if (count <= fixed.length) return fixed.slice(0, count);
  return rest === undefined ? undefined : [...fixed, ...Array.from({ length: count - fixed.length }, () => rest)];
}

/** The type that a literal or parameter takes for an argument of a kind; `undefined`: the one it has by itself. */
const VALUE_TYPES: Readonly<Record<ArgumentKind, DataType | undefined>> = {
  any: undefined,
  text: plainType('text'),
  integer: plainType('bigint'),
  number: plainType('double'),
  numeric: undefined,
  instant: plainType('timestamp'),
  boolean: plainType('boolean'),
  bigint: plainType('bigint'),
  decimal: undefined,
  float: plainType('float'),
  date: plainType('date'),
  time: plainType('time'),
  bytes: plainType('bytes'),
  embedding: undefined,
};

function accepts(operand: Typed, kind: ArgumentKind): boolean {
  if (kind === 'any') return true;
  if (operand.kind === 'value') {
    if (kind === 'numeric') return operand.literal === 'integer' || operand.literal === 'decimal' || operand.literal === 'null';
    const target = VALUE_TYPES[kind];
    return target !== undefined && coercible(operand, target, 'implicit');
  }
  const { type } = operand;
  switch (kind) {
    case 'text':
      return isTextual(type);
    case 'integer':
      return isInteger(type);
    case 'number':
    case 'numeric':
      return isNumeric(type);
    case 'instant':
      return isInstant(type) || type.kind === 'date';
    default:
      return type.kind === kind;
  }
}

function delivered(operand: Typed, kind: ArgumentKind): Typed {
  if (operand.kind === 'value') {
    const target = VALUE_TYPES[kind] ?? (operand.literal === 'null' && kind === 'numeric' ? plainType('double') : operand.type);
    return coerce(operand, target, 'implicit');
  }
  if (kind === 'number') return coerce(operand, plainType('double'), 'implicit');
  return kind === 'instant' ? coerce(operand, plainType('timestamp'), 'implicit') : operand;
}

function bodyBuilder(overload: FunctionOverload, operands: readonly Typed[]): (...parts: Evaluator[]) => Evaluator {
  const { body } = overload;
  if ('context' in body) {
    const { context: read } = body;
    return () => (_row, context) => read(context);
  }
  const made = 'run' in body ? body.run : body.make(operands.map((operand) => operand.type));
  const run = made as (...cells: Cell[]) => Cell;
  return overload.strict === false ? (...parts) => lenient(run, parts) : (...parts) => strict(run, parts);
}

function lenient(run: (...cells: Cell[]) => Cell, parts: readonly Evaluator[]): Evaluator {
  return (row, context) => run(...parts.map((part) => part(row, context)));
}

/** One text per number of arguments, so that nothing is allocated per row for the usual ones. */
function strict(run: (...cells: NonNullCell[]) => Cell, parts: readonly Evaluator[]): Evaluator {
  const [first, second] = parts;
  if (parts.length === 1 && first !== undefined) {
    return (row, context) => {
      const a = first(row, context);
      return a === null ? null : run(a);
    };
  }
  if (parts.length === 2 && first !== undefined && second !== undefined) {
    return (row, context) => {
      const a = first(row, context);
      const b = second(row, context);
      return a === null || b === null ? null : run(a, b);
    };
  }
  return (row, context) => {
    const cells: NonNullCell[] = [];
    let missing = false;
    for (const part of parts) {
      const cell = part(row, context);
      if (cell === null) missing = true;
      else cells.push(cell);
    }
    return missing ? null : run(...cells);
  };
}
