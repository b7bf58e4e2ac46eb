import { SeededRandom } from '@kalamdb/testing';
import { expect, test } from 'vitest';
import { RequestIds } from './request-ids.ts';

test('a request is called what its client calls it, or something of its own', () => {
  const ids = new RequestIds(new SeededRandom(1));
  expect(ids.of('order-17.a:b_c')).toBe('order-17.a:b_c');
  const others = [undefined, '', 'two words', 'line\nbreak', 'x'.repeat(129), ['a', 'b'], '<script>'].map((header) => ids.of(header));
  expect(new Set(others).size).toBe(others.length);
  for (const id of others) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-z]+$/);
});
