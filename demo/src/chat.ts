import { performance } from 'node:perf_hooks';
import type { KalamDBClient } from '@kalamdb/client';
import { connectAs, demoPassword } from './people.ts';

/** Milliseconds between two lines of the play, so that a reader can follow. */
const PAUSE_MILLIS = 250;

const PLAY: readonly { readonly who: 'alice' | 'bob'; readonly where: 'lobby' | 'notes'; readonly text: string }[] = [
  { who: 'alice', where: 'lobby', text: 'Hello, is anybody there?' },
  { who: 'bob', where: 'lobby', text: 'Yes! I see you at once.' },
  { who: 'alice', where: 'notes', text: 'Bob answered quickly. (Only I can read this.)' },
  { who: 'bob', where: 'notes', text: 'Remember to thank Alice.' },
  { who: 'alice', where: 'lobby', text: 'The world is being loaded meanwhile.' },
  { who: 'bob', where: 'lobby', text: 'And still every line arrives in order.' },
];

/** Two users talk in a shared lobby and keep private notes in one USER table; each prints what reaches it. */
export async function playChat(url: string, root: KalamDBClient): Promise<void> {
  await root.query('CREATE NAMESPACE IF NOT EXISTS chat');
  await root.query(
    "CREATE SHARED TABLE chat.lobby (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), sender TEXT NOT NULL, body TEXT NOT NULL) WITH (ACCESS_LEVEL = 'PUBLIC')",
  );
  await root.query('CREATE USER TABLE chat.notes (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT NOT NULL)');
  const sentAt = new Map<string, number>();
  const latencies: number[] = [];
  const people = { alice: await person(url, root, 'alice'), bob: await person(url, root, 'bob') };
  for (const [name, client] of Object.entries(people)) {
    for (const table of ['chat.lobby', 'chat.notes']) {
      await client.subscribeWithSql(`SELECT * FROM ${table}`, (event) => {
        if (event.type !== 'change') return;
        for (const row of event.rows ?? []) {
          const text = row['body']?.asString() ?? '';
          const millis = performance.now() - (sentAt.get(text) ?? Number.NaN);
          latencies.push(millis);
          const from = row['sender']?.asString();
          console.log(
            `  [${name} sees] ${table}${from === undefined || from === null ? '' : ` ${from}:`} ${text}  (${millis.toFixed(1)} ms after it was sent)`,
          );
        }
      });
    }
  }
  for (const { who, where, text } of PLAY) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLIS));
    sentAt.set(text, performance.now());
    // Writing the lobby needs a privileged hand, as a server of the application has; notes are everybody's own.
    if (where === 'lobby') await root.query('INSERT INTO chat.lobby (sender, body) VALUES ($1, $2)', [who, text]);
    else await people[who].query('INSERT INTO chat.notes (body) VALUES ($1)', [text]);
  }
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLIS));
  const sorted = latencies.sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? Number.NaN;
  console.log(
    `\nchat: ${sorted.length} deliveries, from INSERT sent to callback median ${median.toFixed(2)} ms, slowest ${(sorted.at(-1) ?? Number.NaN).toFixed(2)} ms`,
  );
  await Promise.all(Object.values(people).map((client) => client.shutdown()));
}

async function person(url: string, root: KalamDBClient, user: string): Promise<KalamDBClient> {
  const password = demoPassword();
  await root.query(`CREATE USER '${user}' WITH PASSWORD '${password}' ROLE user`);
  return connectAs(url, { user, password });
}
