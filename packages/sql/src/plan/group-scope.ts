import { kalamError } from '@kalamdb/protocol';
import type { AggregateCall } from '../expression/aggregates.ts';
import { bindAggregate } from '../expression/aggregates.ts';
import { atPosition, bindCondition, bindExpression, type CallExpression, type ColumnReference, type Scope } from '../expression/bind.ts';
import { coerce } from '../expression/common-type.ts';
import { canonical } from '../expression/syntax-tree.ts';
import type { SlotNode, Typed } from '../expression/typed.ts';
import type { Expression } from '../statement/ast.ts';
import type { Grouping } from './plans.ts';
import { toPredicate } from './predicate.ts';

/**
 * The scope of expressions over groups: group keys and aggregates become cells of the group's row, other columns are
 * AGGREGATE_MISUSE (but for those of a table whose primary key is a group key: they have one value per group).
 */
export class GroupScope implements Scope {
  readonly text: string;
  readonly parameters: Scope['parameters'];
  readonly #rows: Scope;
  readonly #keys: Typed[] = [];
  readonly #keySlots: Map<string, SlotNode> = new Map();
  readonly #aggregates: AggregateCall[] = [];
  readonly #aggregateSlots: Map<string, SlotNode> = new Map();

  constructor(rows: Scope, keys: readonly Expression[]) {
    this.text = rows.text;
    this.parameters = rows.parameters;
    this.#rows = rows;
    for (const key of keys) this.#addKey(key);
  }

  /** What the executor groups by; complete when every expression is bound. */
  grouping(): Grouping {
    return { keys: this.#keys, aggregates: this.#aggregates };
  }

  replace(expression: Expression): Typed | undefined {
    return this.#keySlots.size === 0 || expression.kind === 'literal' ? undefined : this.#keySlots.get(canonical(expression));
  }

  column(reference: ColumnReference): Typed {
    const column = this.#rows.column(reference);
    const byKey = this.#keys.some((key) => key.kind === 'column' && key.column.primaryKey);
    if (byKey) return this.#addKey(reference);
    throw kalamError('AGGREGATE_MISUSE', {
      reason: `column '${column.kind === 'column' ? column.column.name : reference.name}' must appear in the GROUP BY clause or be used in an aggregate function`,
    });
  }

  aggregate(call: CallExpression): Typed {
    const name = canonical(call);
    const known = this.#aggregateSlots.get(name);
    if (known !== undefined) return known;
    const filter = call.filter === undefined ? undefined : toPredicate(bindCondition(call.filter, this.#rows, 'FILTER'));
    const { type, call: aggregate } = bindAggregate({
      name: call.name,
      arguments: call.arguments.map((argument) => bindExpression(argument, this.#rows)),
      star: call.star,
      distinct: call.distinct,
      filter,
    });
    const index = this.#aggregates.push(aggregate) - 1;
    const bound: SlotNode = {
      kind: 'slot',
      type,
      index,
      column: undefined,
      position: call.position,
      stability: 'row',
      evaluate: (row) => row.cells[index] ?? null,
    };
    this.#aggregateSlots.set(name, bound);
    return bound;
  }

  #addKey(expression: Expression): Typed {
    const name = canonical(expression);
    const known = this.#keySlots.get(name);
    if (known !== undefined) return known;
    const node = atPosition(this.text, expression.position, () => {
      const bound = bindExpression(expression, this.#rows);
      return bound.kind === 'value' ? coerce(bound, bound.type, 'implicit') : bound;
    });
    const index = -this.#keys.push(node);
    const made: SlotNode = {
      kind: 'slot',
      type: node.type,
      index,
      column: node.kind === 'column' ? node.column : undefined,
      position: expression.position,
      stability: 'row',
      evaluate: (row) => row.cells.at(index) ?? null,
    };
    this.#keySlots.set(name, made);
    return made;
  }
}
