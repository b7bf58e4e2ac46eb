import { type DataType, duckdbType } from '@kalamdb/protocol';
import { quoteName } from '../duckdb-text.ts';
import type { GeneralOutput, GeneralPlan } from '../general-plan.ts';
import type { Place } from '../scope.ts';

/** Where the rows of a row set come from. */
export interface RowSetSource {
  /** The WITH clause with a blank behind it, or nothing. */
  readonly before: string;
  readonly from: string;
  readonly where: string;
  /** Rows with the same first column are one: the one whose other columns, from the third on, come first in ascending order. */
  readonly distinct: boolean;
}

/**
 * The query of a row set: what it computes for each row, in the order in which it was added. The columns have exactly the types that they
 * were added with.
 */
export class RowSetText {
  readonly #place: Place;
  readonly #alias: string;
  readonly #inner: string[] = [];
  readonly #outer: string[] = [];
  readonly #types: DataType[] = [];

  constructor(place: Place) {
    this.#place = place;
    this.#alias = quoteName(place.unit.plan.fresh('q'));
  }

  /** Columns so far. */
  get width(): number {
    return this.#outer.length;
  }

  /** Adds an expression; answers the place of its column. */
  add(text: string, type: DataType): number {
    return this.#column(this.#expression(text), type);
  }

  /** Adds an expression that is a STRUCT with the fields `c0` …; answers the place of the first field's column, the others follow. */
  addStruct(text: string, types: readonly DataType[]): number {
    const whole = this.#expression(text);
    const first = this.width;
    for (const [index, type] of types.entries()) this.#column(`struct_extract(${whole}, 'c${index}')`, type);
    return first;
  }

  /** The plan of the query, its rows in the order of the first column. */
  plan({ before, from, where, distinct }: RowSetSource): GeneralPlan {
    const { plan } = this.#place.unit;
    const columns = this.#outer.map((text, index) => `${text} AS "c${index}"`);
    const [first = ''] = this.#outer;
    const sorted = (distinct ? this.#outer.filter((_, index) => index !== 1) : [first]).map((text) => `${text} ASC NULLS LAST`);
    const inner = `SELECT ${this.#inner.join(', ')} FROM ${from}${where}`;
    const text =
      `${before}SELECT ${distinct ? `DISTINCT ON (${first}) ` : ''}${columns.join(', ')} FROM (${inner}) AS ${this.#alias} ` +
      `ORDER BY ${sorted.join(', ')}`;
    const outputs = this.#types.map((type, index): GeneralOutput => ({ name: `c${index}`, column: undefined, type }));
    return { kind: 'general', text, sources: plan.sources, parameters: [], outputs, mentionsUser: plan.mentionsUser, limited: false };
  }

  #expression(text: string): string {
    const name = `"r${this.#inner.length}"`;
    this.#inner.push(`${text} AS ${name}`);
    return `${this.#alias}.${name}`;
  }

  #column(text: string, type: DataType): number {
    this.#types.push(type);
    return this.#outer.push(`CAST(${text} AS ${duckdbType(type)})`) - 1;
  }
}
