// `npm run long-answers -- --rows 1000000`: answers of so many rows and of three times as many, by each road, with the time they take and the
// memory that the server takes for them.

import { parseArgs } from 'node:util';
import type { ReadAnswer } from './long-answer.ts';
import { joinOf, LongAnswers } from './run.ts';

const { values: flags } = parseArgs({ options: { rows: { type: 'string', default: '1000000' } } });
const rows = Number(flags.rows);
/** A loaded machine may take long for the longest of them. */
const world = await LongAnswers.start('[execution]\nhandler_timeout_seconds = 300\n');

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0).padStart(5);

function report(what: string, answer: ReadAnswer): void {
  const { firstByteMillis, millis, bytes, grownBytes } = answer;
  console.log(
    `${what.padEnd(40)} ${String(answer.rows).padStart(8)} rows ${mebibytes(bytes)} MiB  first byte ${firstByteMillis.toFixed(0).padStart(5)} ms  ` +
      `all ${millis.toFixed(0).padStart(6)} ms  memory +${mebibytes(grownBytes)} MiB`,
  );
}

try {
  for (const count of [rows, 3 * rows]) {
    await world.fill(count);
    report('warm-up', await world.read('SELECT * FROM t LIMIT 50000'));
    report('compiled', await world.read('SELECT * FROM t'));
    report('compiled, again', await world.read('SELECT * FROM t'));
    report('compiled, gzip', await world.read('SELECT * FROM t', { isCompressed: true }));
    report('compiled, slow reader', await world.read('SELECT id, name FROM t', { restMillis: 2 }));
  }
  for (const count of [rows, rows, 3 * rows]) report('general', await world.read(joinOf(count), { isUnordered: true }));
} finally {
  await world.stop();
}
