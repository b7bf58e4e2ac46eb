import type { ServerLogLine } from '@kalamdb/engine';

/** Lines that are kept. */
const LINES_MAX = 1_000;
/** Characters of all lines that are kept. */
const CHARACTERS_MAX = 1_048_576;
/** Characters of one line. */
const LINE_CHARACTERS_MAX = 8_192;

/** The newest lines of the log, in memory, for `system.server_logs`. */
export class LogRing {
  #lines: ServerLogLine[] = [];
  #characters = 0;
  #count = 0;

  /** The lines that are kept, oldest first. */
  get lines(): readonly ServerLogLine[] {
    return this.#lines;
  }

  push(line: Omit<ServerLogLine, 'line'>): void {
    const message = line.message.slice(0, LINE_CHARACTERS_MAX);
    this.#count += 1;
    this.#lines.push({ ...line, message, line: this.#count });
    this.#characters += message.length;
    while (this.#lines.length > LINES_MAX || this.#characters > CHARACTERS_MAX) {
      this.#characters -= this.#lines.shift()?.message.length ?? 0;
    }
  }
}
