import { readdir } from 'node:fs/promises';

/** Where the kernel lists the open files of a process; elsewhere nobody does. */
const OPEN_FILES = '/proc/self/fd';

/** How many files the process has open. Listing them can take a while, so a look gives what the look before it found. */
export class OpenFiles {
  #count = 0;
  #looking = false;

  constructor() {
    this.#look();
  }

  get count(): number {
    this.#look();
    return this.#count;
  }

  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    readdir(OPEN_FILES)
      .then(
        (names) => {
          this.#count = names.length;
        },
        // Not a Linux: it stays 0.
        () => undefined,
      )
      .finally(() => {
        this.#looking = false;
      });
  }
}
