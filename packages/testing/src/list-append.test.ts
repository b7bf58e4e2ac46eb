import { describe, expect, it } from 'vitest';
import { type AppendHistory, type AppendStep, type AppendTransaction, isolationViolations } from './list-append.ts';

const read = (key: string, ...ids: number[]): AppendStep => ({ kind: 'read', key, ids });
const append = (key: string, id: number): AppendStep => ({ kind: 'append', key, id });
const committed = (name: string, ...steps: AppendStep[]): AppendTransaction => ({ name, outcome: 'committed', steps });
const aborted = (name: string, ...steps: AppendStep[]): AppendTransaction => ({ name, outcome: 'aborted', steps });
const history = (final: Record<string, number[]>, ...transactions: AppendTransaction[]): AppendHistory => ({
  transactions,
  final: new Map(Object.entries(final)),
});

describe('allowed', () => {
  it.each<[string, AppendHistory]>([
    ['nothing', history({})],
    [
      'one after another',
      history({ x: [1, 2] }, committed('a', append('x', 1)), committed('b', read('x', 1), append('x', 2), read('x', 1, 2))),
    ],
    ['an abort that nobody saw', history({ x: [1] }, committed('a', append('x', 1)), aborted('b', read('x', 1), append('x', 2)))],
    ['write skew', history({ x: [1], y: [2] }, committed('a', read('y'), append('x', 1)), committed('b', read('x'), append('y', 2)))],
    ['an old snapshot', history({ x: [1], y: [2] }, committed('a', append('x', 1), append('y', 2)), committed('b', read('x'), read('y')))],
  ])('%s', (_name, given) => {
    expect(isolationViolations(given)).toEqual([]);
  });
});

describe('not allowed', () => {
  it.each<[string, AppendHistory]>([
    ['lost update', history({ x: [2] }, committed('a', read('x'), append('x', 1)), committed('b', read('x'), append('x', 2)))],
    ['dirty write', history({ x: [1] }, aborted('a', append('x', 1)))],
    ['dirty read', history({ x: [] }, aborted('a', append('x', 1)), committed('b', read('x', 1)))],
    ['intermediate read', history({ x: [1, 2] }, committed('a', append('x', 1), append('x', 2)), committed('b', read('x', 1)))],
    ['non-repeatable read', history({ x: [1] }, committed('a', append('x', 1)), committed('b', read('x'), read('x', 1)))],
    ['own appends', history({ x: [1] }, committed('a', append('x', 1), read('x')))],
    ['cycle', history({ x: [1], y: [2] }, committed('a', append('x', 1), append('y', 2)), committed('b', read('x', 1), read('y')))],
    [
      'cycle',
      history(
        { x: [1], y: [2] },
        committed('a', append('x', 1)),
        committed('b', append('y', 2)),
        committed('c', read('x', 1), read('y')),
        committed('d', read('x'), read('y', 2)),
      ),
    ],
    ['cycle', history({ x: [1, 2] }, committed('a', read('x'), append('x', 1)), committed('b', read('x'), append('x', 2)))],
    ['nobody', history({ x: [1] })],
    ['2 times', history({ x: [1, 1] }, committed('a', append('x', 1)))],
  ])('%s', (what, given) => {
    expect(isolationViolations(given).join('; ')).toContain(what);
  });
});
