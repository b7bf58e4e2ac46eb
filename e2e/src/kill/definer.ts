import type { SeededRandom } from '@kalamdb/testing';

const NAMESPACES = 2;
const TABLES = 3;

/** What the statements of one definer have come to: its namespaces, and its tables with the ids of their rows. */
interface Definitions {
  readonly namespaces: ReadonlySet<string>;
  readonly tables: ReadonlyMap<string, readonly number[]>;
}

/** A statement, and what it makes of the definitions. */
export interface DefinitionStep {
  readonly label: string;
  readonly sql: string;
  readonly after: Definitions;
}

const textOf = ({ namespaces, tables }: Definitions): string => JSON.stringify([[...namespaces].sort(), [...tables].sort()]);

/**
 * Creates and drops namespaces and tables of its own, one statement after another, and puts rows into the tables. After a kill the
 * catalog must say what it said before the statement that was not answered, or after it, and each table must have its own rows: none
 * of a table that had its name before.
 */
export class Definer {
  readonly #prefix: string;
  #now: Definitions = { namespaces: new Set(), tables: new Map() };
  /** What the statement without an answer makes of it. */
  #perhaps: Definitions | undefined;
  #rows = 0;

  constructor(number: number) {
    this.#prefix = `ddl${number}`;
  }

  owns(namespace: string): boolean {
    return namespace.startsWith(this.#prefix);
  }

  next(random: SeededRandom): DefinitionStep {
    const { namespaces, tables } = this.#now;
    const namespace = `${this.#prefix}_${random.integer(NAMESPACES)}`;
    if (!namespaces.has(namespace)) {
      return this.#step('create namespace', `CREATE NAMESPACE ${namespace}`, { namespaces: new Set([...namespaces, namespace]), tables });
    }
    const inside = [...tables.keys()].filter((name) => name.startsWith(`${namespace}.`));
    if (inside.length === 0 && random.integer(3) === 0) {
      const left = new Set([...namespaces].filter((name) => name !== namespace));
      return this.#step('drop namespace', `DROP NAMESPACE ${namespace}`, { namespaces: left, tables });
    }
    return this.#tableStep(`${namespace}.t${random.integer(TABLES)}`, random);
  }

  answered({ after }: DefinitionStep): void {
    this.#now = after;
  }

  unanswered({ after }: DefinitionStep): void {
    this.#perhaps = after;
  }

  /** Compares with what was read after a restart; answers whether the statement without an answer was carried out. Throws when it is a third state. */
  settle(actual: Definitions): boolean {
    const found = textOf(actual);
    const perhaps = this.#perhaps;
    this.#perhaps = undefined;
    if (found === textOf(this.#now)) return false;
    if (perhaps === undefined || found !== textOf(perhaps)) {
      const other = perhaps === undefined ? '' : ` or ${textOf(perhaps)}`;
      throw new Error(`definitions must be ${textOf(this.#now)}${other}, not ${found}`);
    }
    this.#now = perhaps;
    return true;
  }

  #tableStep(table: string, random: SeededRandom): DefinitionStep {
    const { namespaces, tables } = this.#now;
    const rows = tables.get(table);
    const changed = new Map(tables);
    if (rows === undefined) {
      changed.set(table, []);
      return this.#step('create table', `CREATE SHARED TABLE ${table} (id INT PRIMARY KEY, v TEXT)`, { namespaces, tables: changed });
    }
    if (random.integer(3) === 0) {
      changed.delete(table);
      return this.#step('drop table', `DROP TABLE ${table}`, { namespaces, tables: changed });
    }
    const id = ++this.#rows;
    changed.set(table, [...rows, id]);
    return this.#step('row of a new table', `INSERT INTO ${table} VALUES (${id}, 'row ${id}')`, { namespaces, tables: changed });
  }

  #step(label: string, sql: string, after: Definitions): DefinitionStep {
    return { label, sql, after };
  }
}
