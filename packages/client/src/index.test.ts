import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { describe, expect, it } from 'vitest';
import * as browser from './browser.ts';
import * as node from './index.ts';
import { publicTypes } from './public-types.fixture.ts';

/** What the browser's door may weigh, minified and gzipped: 15 kB. */
const BROWSER_BYTES_MAX = 15 * 1024;
/** What live collections may add: 2.25 kB. */
const COLLECTION_BYTES_MAX = 2.25 * 1024;

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

  it('changes its types only knowingly', () => {
    expect(publicTypes()).toMatchSnapshot();
  });

  it('is described in full', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/client.md'), 'utf8');
    const words = new Set(page.match(/[A-Za-z_]\w*/g));
    const members = Object.getOwnPropertyNames(node.KalamDBClient.prototype).filter((member) => member !== 'constructor');
    const names = [...Object.keys(publicTypes()), ...members];
    expect(names.length).toBeGreaterThan(80);
    expect(names.filter((name) => !words.has(name))).toEqual([]);
  });
});

const collection = ['liveCollection', 'sameMembers'];

/** What an application weighs that uses these of the door's names, minified and gzipped. */
async function weight(names: readonly string[]): Promise<number> {
  const door = join(import.meta.dirname, 'browser.ts');
  const bundle = await rolldown({
    input: 'application',
    platform: 'browser',
    resolve: { conditionNames: ['source', 'browser', 'import', 'default'] },
    plugins: [
      {
        name: 'application',
        resolveId: (id) => (id === 'application' ? id : null),
        load: (id) => (id === 'application' ? `export { ${names.join(', ')} } from ${JSON.stringify(door)};` : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'es', minify: true });
  expect(output).toHaveLength(1);
  expect(output[0].imports).toEqual([]);
  return gzipSync(output[0].code, { level: 9 }).length;
}

describe('the door for browsers', () => {
  it(`weighs less than ${BROWSER_BYTES_MAX} bytes, minified and gzipped, and needs nothing from elsewhere`, async () => {
    expect(await weight(Object.keys(browser).filter((name) => !collection.includes(name)))).toBeLessThan(BROWSER_BYTES_MAX);
  });

  it(`weighs ${COLLECTION_BYTES_MAX} bytes more at most for whoever uses collections`, async () => {
    expect(await weight(Object.keys(browser))).toBeLessThan(BROWSER_BYTES_MAX + COLLECTION_BYTES_MAX);
  });
});
