import { type Cell, type KalamError, kalamError, type SnowflakeSequence } from '@kalamdb/protocol';
import type { Node } from 'libpg-query';
import { atPosition } from '../expression/bind.ts';
import { nameText } from '../parser/postgres/converter.ts';
import { SourceText } from '../parser/postgres/source-text.ts';
import type { CatalogView, TableInfo } from '../plan/table-info.ts';
import type { GeneralCheck, GeneralSource } from './general-plan.ts';
import { Values } from './piece.ts';

/** A view as its query. */
export interface ViewText {
  readonly query: string;
  /** For tables that the query names without one. */
  readonly namespace: string;
  /** Names of the view's columns. */
  readonly columns: readonly string[];
}

/** What a query is planned with. */
export interface GeneralRequest {
  readonly catalog: CatalogView;
  /** For tables named without one. */
  readonly namespace: string;
  /** The client's: null, boolean, bigint for integers, number for other numbers, string. */
  readonly parameters: readonly Cell[];
  /** The query behind a table of kind `view`; `undefined` for a system table that only looks like one. */
  readonly view?: (table: TableInfo) => ViewText | undefined;
  /** Who asks. */
  readonly userId: string;
  readonly role: string;
  /** The statement's time: microseconds since the epoch. */
  readonly nowMicros: bigint;
  /** What SNOWFLAKE_ID() draws on; it is refused without. */
  readonly ids?: Pick<SnowflakeSequence, 'take'> | undefined;
  /**
   * What ORDER BY leaves open comes in the order of the table's key, of a query over one table without DISTINCT: its rows, or its groups by their first
   * rows. Not given: such rows come in any order.
   */
  readonly keyOrder?: 'rows' | 'groups' | undefined;
}

/** What a rewritten expression may have beyond {@link GROWTH_FACTOR_MAX} times what was sent, in UTF-16 units. */
const GROWTH_UNITS_MAX = 1024 * 1024;
const GROWTH_FACTOR_MAX = 8;

/** Places of one table whose checks are told apart; a query with more reads the whole table. */
const CHECKED_PLACES_MAX = 8;

/** Deepest nesting of an expression, as in the compiled executor. */
const DEPTH_MAX = 400;

/** What all texts of one query share: its own and those of its views. */
export class Plan {
  readonly request: GeneralRequest;
  readonly values: Values = new Values();
  mentionsUser = false;
  readonly #sources: Map<TableInfo, GeneralSource> = new Map();
  /** Where the text names a source: the alias it has there. */
  readonly #places: Map<GeneralSource, readonly (string | undefined)[]> = new Map();
  /** By alias. */
  readonly #checks: Map<string, readonly GeneralCheck[]> = new Map();
  /** UTF-16 units that an expression may grow to: some are written more than once, and that may nest. */
  readonly unitsMax: number;
  #names = 0;
  #depth = 0;

  constructor(request: GeneralRequest, text: string) {
    this.request = request;
    const sent = request.parameters.reduce((sum: number, cell) => sum + (typeof cell === 'string' ? cell.length : 0), text.length);
    this.unitsMax = GROWTH_UNITS_MAX + GROWTH_FACTOR_MAX * sent;
  }

  /** With what was noted of their rows; to be asked when everything is written. */
  get sources(): readonly GeneralSource[] {
    return [...this.#sources.values()].map((source) => {
      const checks = this.#checksOf(source);
      return checks === undefined ? source : { ...source, checks };
    });
  }

  /** The source for a table; the same one each time. `alias` is what the text calls it in this place; without it all of its rows are needed. */
  source(table: TableInfo, alias?: string): GeneralSource {
    const known = this.#sources.get(table);
    const source = known ?? { name: `k${this.#sources.size}`, table };
    this.#sources.set(table, source);
    this.#places.set(source, [...(this.#places.get(source) ?? []), alias]);
    return source;
  }

  /** Notes that rows of the table that the text calls `alias` are not needed when they do not meet the check. */
  check(alias: string, check: GeneralCheck): void {
    this.#checks.set(alias, [...(this.#checks.get(alias) ?? []), check]);
  }

  #checksOf(source: GeneralSource): readonly (readonly GeneralCheck[])[] | undefined {
    const lists: (readonly GeneralCheck[])[] = [];
    for (const alias of this.#places.get(source) ?? []) {
      const list = alias === undefined ? undefined : this.#checks.get(alias);
      if (list === undefined || lists.length >= CHECKED_PLACES_MAX) return undefined;
      lists.push(list);
    }
    return lists;
  }

  /** Runs `work` one level deeper in the nesting of expressions. Throws INVALID_OPERATION when that is too deep. */
  deeper<T>(work: () => T): T {
    if (this.#depth >= DEPTH_MAX) {
      throw kalamError('INVALID_OPERATION', { reason: `the expression is nested more than ${DEPTH_MAX} levels deep` });
    }
    this.#depth += 1;
    try {
      return work();
    } finally {
      this.#depth -= 1;
    }
  }

  /** A name that nothing else in the text has. */
  fresh(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }
}

/** One text that is rewritten: the statement, or the query of a view. */
export class Unit {
  readonly plan: Plan;
  readonly source: SourceText;
  readonly namespace: string;
  /** Views around this text. */
  readonly depth: number;
  readonly #text: string;

  constructor(plan: Plan, text: string, at: { readonly namespace: string; readonly depth: number }) {
    this.plan = plan;
    this.#text = text;
    this.source = new SourceText(text);
    this.namespace = at.namespace;
    this.depth = at.depth;
  }

  get values(): Values {
    return this.plan.values;
  }

  position(location: number | undefined): number {
    return this.source.position(location);
  }

  /** A name of the tree as it was written. */
  name(node: Node | undefined): string {
    return this.source.name(nameText(node));
  }

  /** Runs `work`; its error gets the position, unless it lies in a view, where the reader of the statement cannot look. */
  at<T>(location: number | undefined, work: () => T): T {
    return this.depth > 0 ? work() : atPosition(this.#text, this.position(location), work);
  }

  /** As {@link at}, with the position of a node. */
  near<T>(node: Node, work: () => T): T {
    const [content] = Object.values(node);
    const location = typeof content === 'object' && content !== null && 'location' in content ? Number(content.location) : undefined;
    return location === undefined ? work() : this.at(location, work);
  }

  /** Throws an error that has a position. */
  fail(location: number | undefined, error: KalamError): never {
    return this.at(location, () => {
      throw error;
    });
  }

  /** Refuses what is not on the allow-list. */
  missing(what: string, location: number | undefined): never {
    return this.fail(location, kalamError('NOT_IMPLEMENTED', { what }));
  }
}
