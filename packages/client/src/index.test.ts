import { describe, expect, it } from 'vitest';
import * as browser from './browser.ts';
import * as node from './index.ts';

const shape = (door: object): readonly string[] =>
  Object.entries(door)
    .flatMap(([name, value]: [string, unknown]) => [name, ...membersOf(name, value)])
    .sort();

function membersOf(name: string, value: unknown): readonly string[] {
  if (typeof value === 'object' && value !== null) return Object.keys(value).map((member) => `${name}.${member}`);
  if (typeof value !== 'function' || !/^class /.test(String(value))) return [];
  const prototype: object = value.prototype;
  const names = Object.getOwnPropertyNames(prototype).filter((member) => member !== 'constructor');
  const statics = Object.getOwnPropertyNames(value).filter((member) => !['length', 'name', 'prototype'].includes(member));
  return [...names.map((member) => `${name}#${member}`), ...statics.map((member) => `${name}.${member}`)];
}

describe('the public surface', () => {
  it('changes only knowingly', () => {
    expect(shape(node)).toMatchSnapshot();
  });

  it('is the same through both doors', () => {
    expect(shape(browser)).toEqual(shape(node));
  });
});
