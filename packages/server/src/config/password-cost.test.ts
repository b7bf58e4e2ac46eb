import { expect, test } from 'vitest';
import { passwordCost } from './password-cost.ts';

test('the default is the recommended one, each step doubles the memory, and the ends are bounded', () => {
  expect(passwordCost(12)).toEqual({ memoryKib: 19_456, iterations: 2 });
  expect(passwordCost(11).memoryKib).toBe(9_728);
  expect(passwordCost(4)).toEqual({ memoryKib: 1_024, iterations: 1 });
  expect(passwordCost(16).memoryKib).toBe(262_144);
});
