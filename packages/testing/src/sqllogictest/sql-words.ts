const WORD = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\s+|[A-Za-z_][\w$]*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|[^\s\w]/g;

/** A text of SQL as its words, of which some can be replaced. Blanks and comments are kept, but are no words. */
export class SqlWords {
  readonly #pieces: string[];
  /** Where the words stand among the pieces. */
  readonly #places: readonly number[];
  readonly #words: readonly string[];

  constructor(sql: string) {
    this.#pieces = sql.match(WORD) ?? [];
    this.#places = [...this.#pieces.keys()].filter((index) => !/^(\s|--|\/\*)/.test(this.#pieces[index] ?? ''));
    this.#words = this.#places.map((place) => this.#pieces[place] ?? '');
  }

  get length(): number {
    return this.#words.length;
  }

  /** The word as it was written, '' outside of the text. */
  text(at: number): string {
    return this.#words[at] ?? '';
  }

  /** The word in capitals, '' outside of the text. */
  upper(at: number): string {
    return this.text(at).toUpperCase();
  }

  /** The word as a name: lower case, without quotes. */
  name(at: number): string {
    return this.text(at).replaceAll('"', '').toLowerCase();
  }

  /** The place of the parenthesis that closes the one at `open`; the end of the text when none does. */
  closing(open: number): number {
    let depth = 0;
    for (let at = open; at < this.length; at++) {
      if (this.text(at) === '(') depth += 1;
      if (this.text(at) === ')' && --depth === 0) return at;
    }
    return this.length;
  }

  /** Puts another text in the place of a word; the words that are read stay as they were. */
  replace(at: number, text: string): void {
    const place = this.#places[at];
    if (place !== undefined) this.#pieces[place] = text;
  }

  joined(): string {
    return this.#pieces.join('');
  }
}
