import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const packages = ['protocol', 'sql', 'storage', 'engine', 'server', 'client', 'react', 'testing'];
const source = (name: string): string => fileURLToPath(new URL(`packages/${name}/src/index.ts`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      ...packages.map((name) => ({ find: new RegExp(`^@kalamdb/${name}$`), replacement: source(name) })),
      {
        find: '@kalamdb/protocol/messages',
        replacement: fileURLToPath(new URL('packages/protocol/src/messages/index.ts', import.meta.url)),
      },
    ],
  },
  test: {
    include: ['packages/*/src/**/*.test.{ts,tsx}', 'e2e/src/**/*.test.ts', 'scripts/**/*.test.ts'],
    pool: 'forks',
    // Many tests wait for processes, disks and sockets: on two cores one worker would leave one of them idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
