/**
 * Opens damaged copies of a data directory, one after another: `flip-child.js <directory> <scratch> <flips.json> <first>`. Prints
 * `try <index>` before each and `is <index> <outcome>` after it, so that the parent knows which one ended the process.
 */

import { cpSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Flip, flipOutcome, type Judging } from './byte-flips.ts';
import { coldFlipOutcome } from './cold-flips.ts';

const [, , directory = '', scratch = '', list = '', first = '0'] = process.argv;
const { groups, commits, goOn, judge }: Judging & { groups: readonly (readonly Flip[])[]; commits: number } = JSON.parse(
  readFileSync(list, 'utf8'),
);
const say = (text: string): void => void writeSync(1, `${text}\n`);

for (const [index, flips] of groups.entries()) {
  if (index < Number(first)) continue;
  say(`try ${index}`);
  const copy = join(scratch, `copy-${index}`);
  cpSync(directory, copy, { recursive: true });
  for (const file of new Set(flips.map((flip) => flip.file))) {
    const content = readFileSync(join(copy, file));
    for (const { at, bit } of flips.filter((flip) => flip.file === file)) content.writeUInt8(content.readUInt8(at) ^ (1 << bit), at);
    writeFileSync(join(copy, file), content);
  }
  say(`is ${index} ${judge === 'cold' ? await coldFlipOutcome(copy, flips) : await flipOutcome(copy, commits, goOn)}`);
  rmSync(copy, { recursive: true, force: true });
}
