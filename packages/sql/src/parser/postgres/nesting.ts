import { isWordAt, type Scanner } from '../../lexer/scanner.ts';

/** Levels of expression at most, counted before parsing; the parser and everything behind it recurse. */
export const NESTING_MAX = 512;

/** Words that add a level to the expression they stand in, each of them in a chain like `NOT NOT a` or `a IS NULL IS NULL`. */
const CHAINING = ['not', 'is', 'isnull', 'notnull', 'in', 'like', 'ilike', 'similar', 'between', 'collate', 'at', 'operator', 'escape'];
/** Words that start another operand: a chain does not go on across them. */
const SEPARATING = ['and', 'or', 'when', 'then', 'else', 'select', 'from', 'where', 'group', 'order', 'having', 'values', 'set'];
/** Words that nest to the left, however far apart. */
const STICKING = ['union', 'intersect', 'except', 'join'];

interface Frame {
  chain: number;
  sticky: number;
}

/**
 * An upper bound for the depth of the syntax tree, from the tokens alone: open parentheses, brackets and CASEs, and in each of them
 * the operators since the last comma, AND, OR or clause. AND and OR chains do not count; the tree keeps them flat.
 */
export class NestingMeter {
  readonly #frames: Frame[] = [{ chain: 0, sticky: 0 }];
  #outer = 0;

  /** Takes the token at which the scanner stands; the depth there. */
  add(scanner: Scanner): number {
    switch (scanner.kind) {
      case 'operator':
        this.#top().chain += 1;
        break;
      case 'symbol':
        this.#symbol(scanner);
        break;
      case 'word':
        this.#word(scanner);
        break;
      default:
        break;
    }
    const top = this.#top();
    return this.#outer + this.#frames.length + top.chain + top.sticky;
  }

  #top(): Frame {
    return this.#frames[this.#frames.length - 1] ?? { chain: 0, sticky: 0 };
  }

  #open(): void {
    const top = this.#top();
    this.#outer += top.chain + top.sticky;
    this.#frames.push({ chain: 0, sticky: 0 });
  }

  #close(): void {
    if (this.#frames.length === 1) return;
    this.#frames.pop();
    const top = this.#top();
    this.#outer -= top.chain + top.sticky;
  }

  #symbol(scanner: Scanner): void {
    const symbol = scanner.text.slice(scanner.start, scanner.end);
    if (symbol === '(' || symbol === '[') this.#open();
    else if (symbol === ')' || symbol === ']') this.#close();
    else if (symbol === ',') this.#top().chain = 0;
    else if (symbol === '::') this.#top().chain += 1;
  }

  #word(scanner: Scanner): void {
    const is = (word: string): boolean => word.length === scanner.end - scanner.start && isWordAt(scanner.text, scanner.start, word);
    if (is('case')) this.#open();
    else if (is('end')) this.#close();
    else if (SEPARATING.some(is)) this.#top().chain = 0;
    else if (CHAINING.some(is)) this.#top().chain += 1;
    else if (STICKING.some(is)) this.#top().sticky += 1;
  }
}
