import { DialectTranslation } from './dialect-translation.ts';
import { foreignForm } from './foreign-records.ts';
import { hashLine, isExpected, type ResultCell, resultValues } from './result-text.ts';
import { isFor, parseTestFile, type TestRecord } from './test-records.ts';

/** What records with conditions take this database for. */
const DATABASE = 'postgresql';
/** Values of a wrong result that a report shows. */
const SHOWN_VALUES_MAX = 12;

/** A database that runs SQL: the rows of the last statement, none when it answers a message. Rejects when it is refused. */
export interface SqlRunner {
  run(sql: string): Promise<readonly (readonly ResultCell[])[]>;
}

/** A record that did not answer as its file says. */
export interface RecordFailure {
  readonly line: number;
  /** The translated text. */
  readonly sql: string;
  /** What went wrong, without what is particular to the record; failures with the same cause are one group. */
  readonly cause: string;
  readonly detail: string;
}

/** The outcome of a file. */
export interface FileReport {
  readonly passed: number;
  readonly failed: readonly RecordFailure[];
  /** Number of records by the reason why they were left out. */
  readonly skipped: ReadonlyMap<string, number>;
}

/** Which records of a file are played; all unless said otherwise. */
export type RecordChoice = (record: TestRecord) => boolean;

/** Plays the text of a sqllogictest file. Records run one after another; a failure does not end the file. */
export async function playTestFile(text: string, runner: SqlRunner, isChosen: RecordChoice = () => true): Promise<FileReport> {
  const play = new FilePlay(runner);
  for (const record of parseTestFile(text)) {
    if (record.kind === 'query' && !isChosen(record)) play.skip('not in the sample');
    else await play.record(record);
  }
  return play;
}

class FilePlay implements FileReport {
  passed = 0;
  readonly failed: RecordFailure[] = [];
  readonly skipped = new Map<string, number>();
  readonly #runner: SqlRunner;
  readonly #dialect = new DialectTranslation();
  readonly #labels = new Map<string, string>();
  #isHalted = false;

  constructor(runner: SqlRunner) {
    this.#runner = runner;
  }

  skip(reason: string): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + 1);
  }

  async record(record: TestRecord): Promise<void> {
    if (record.kind === 'hash-threshold') return;
    if (this.#isHalted) return this.skip('after halt');
    if (!isFor(record.conditions, DATABASE)) {
      if (record.kind !== 'halt') this.skip('for another database');
      return;
    }
    if (record.kind === 'halt') {
      this.#isHalted = true;
      return;
    }
    const { sql, lost } = this.#dialect.translate(record.sql);
    const foreign = foreignForm(sql, (table, column) => this.#dialect.isInteger(table, column));
    if (foreign !== undefined) return this.skip(`not PostgreSQL: ${foreign}`);
    if (lost !== undefined && sql.trim() === '') return this.skip(lost);
    const failure = record.kind === 'statement' ? await this.#statement(sql, record.expected) : await this.#query(sql, record);
    if (failure === undefined && lost !== undefined) this.skip(lost);
    else if (failure === undefined) this.passed += 1;
    else this.failed.push({ line: record.line, sql, ...failure });
  }

  async #statement(sql: string, expected: 'ok' | 'error'): Promise<Wrong | undefined> {
    try {
      await this.#runner.run(sql);
    } catch (error) {
      return expected === 'error' ? undefined : refused(error);
    }
    return expected === 'ok' ? undefined : { cause: 'accepted what must be refused', detail: '' };
  }

  async #query(sql: string, record: TestRecord & { readonly kind: 'query' }): Promise<Wrong | undefined> {
    let rows: readonly (readonly ResultCell[])[];
    try {
      rows = await this.#runner.run(sql);
    } catch (error) {
      return refused(error);
    }
    const { types, sort, label, expected } = record;
    const width = rows[0]?.length ?? types.length;
    if (width !== types.length) return { cause: 'wrong number of columns', detail: `${width} for ${types}` };
    const values = resultValues(rows, types, sort);
    if (expected !== undefined && !isExpected(values, expected)) {
      return { cause: 'wrong result', detail: `${shown(values)} instead of ${shown(expected)}` };
    }
    if (label === undefined) return undefined;
    const hash = hashLine(values);
    const other = this.#labels.get(label);
    this.#labels.set(label, hash);
    return other === undefined || other === hash ? undefined : { cause: 'differs from another query with its label', detail: label };
  }
}

type Wrong = Pick<RecordFailure, 'cause' | 'detail'>;

function refused(error: unknown): Wrong {
  const detail = error instanceof Error ? error.message : String(error);
  return { cause: `refused: ${detail.replace(/'[^']*'|"[^"]*"|\d+/g, '…').slice(0, 160)}`, detail };
}

function shown(values: readonly string[]): string {
  return `[${values.slice(0, SHOWN_VALUES_MAX).join(', ')}${values.length > SHOWN_VALUES_MAX ? ', …' : ''}] (${hashLine(values)})`;
}
