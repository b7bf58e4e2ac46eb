import type { SeededRandom } from '@kalamdb/testing';

/** Texts that a client could send if all were well. */
export const GOOD_MESSAGES: readonly string[] = [
  '{"type":"ping"}',
  '{"type":"subscribe","subscription":{"id":"s","sql":"SELECT * FROM app.notes","options":{"batch_size":10}}}',
  '{"type":"next_batch","subscription_id":"s","last_seq_id":316847529014263808}',
  '{"type":"unsubscribe","subscription_id":"s"}',
  '{"type":"authenticate","method":"jwt","token":"t","protocol":{"serialization":"json","compression":"gzip"}}',
];

/** The bytes with some of them replaced, removed or doubled. */
export function mutated(random: SeededRandom, good: Buffer): Buffer {
  const bytes = [...good];
  for (let count = 1 + random.integer(4); count > 0; count--) {
    const at = random.integer(bytes.length);
    const kind = random.integer(3);
    if (kind === 0) bytes[at] = random.integer(256);
    else if (kind === 1) bytes.splice(at, 1 + random.integer(5));
    else bytes.splice(at, 0, ...bytes.slice(at, at + random.integer(8)));
    if (bytes.length === 0) bytes.push(random.integer(256));
  }
  return Buffer.from(bytes);
}

/** A part of the text that is not the whole of it. */
export function truncated(random: SeededRandom, text: string): string {
  return text.slice(0, 1 + random.integer(text.length - 1));
}

/** JSON that nests much too deep, closed or not. */
export function deep(random: SeededRandom): string {
  const levels = 65 + random.integer(random.integer(4) === 0 ? 50_000 : 500);
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  return open.repeat(levels) + (random.integer(2) === 0 ? `1${close.repeat(levels)}` : '');
}

/** An integer or number that no 64 bits hold. */
export function giantNumber(random: SeededRandom): string {
  return random.pick([
    '9223372036854775808',
    '-9223372036854775809',
    '1e999',
    '-1e400',
    '1.5',
    `1${'0'.repeat(20 + random.integer(2000))}`,
    `0.${'1'.repeat(400)}e308`,
  ]);
}

/** A JSON value that is neither a text nor an object. */
export function wrongValue(random: SeededRandom): string {
  return random.pick(['true', 'false', '0', '-1', '3.5', '[]', '["a"]', '[{}]', '[[[]]]', giantNumber(random)]);
}

/** Bytes that are not UTF-8. */
export function invalidUtf8(random: SeededRandom): Buffer {
  const bad = random.pick(['ff', 'c0af', 'eda080', 'f4908080', 'e282', 'f0', '80']);
  return Buffer.concat([Buffer.from('{"type":"ping","x":"'), Buffer.from(bad, 'hex'), Buffer.from('"}')]);
}

/** Random bytes. */
export function noise(random: SeededRandom, lengthMax: number): Buffer {
  return Buffer.from(random.bytes(1 + random.integer(lengthMax)));
}
