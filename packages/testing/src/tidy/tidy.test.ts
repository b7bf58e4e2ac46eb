import { describe, expect, it } from 'vitest';
import { codeOf, filesBelow, productSource, type SourceFile } from './source-files.ts';

const FILE_LINES_MAX = 500;
const FILE_LINES_MEDIAN_MAX = 150;
const FUNCTION_LINES_MAX = 70;

/** What each package may import of the others. */
const PACKAGE_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  sql: ['protocol'],
  storage: ['protocol'],
  engine: ['protocol', 'sql', 'storage'],
  server: ['protocol', 'engine'],
  client: ['protocol'],
  react: ['protocol', 'client'],
};

/** The rooms of a package, top to bottom: a room imports only from the rooms below it. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  engine: [
    'database',
    'session',
    'transaction',
    'write',
    'ddl',
    'live',
    'read',
    'backup',
    'jobs',
    'access',
    'cold',
    'stores',
    'catalog',
    'sequencer',
    'partition',
    'slices',
    'contract',
  ],
  sql: ['general', 'plan', 'expression', 'parser', 'statement', 'lexer'],
  storage: ['objects', 'cold', 'hot', 'log', 'columns', 'files', 'contract'],
  protocol: ['messages', 'values', 'ids', 'json', 'errors', 'environment'],
};

/** What may be called only where it is adapted, and what to use instead. */
const BANNED: readonly { readonly pattern: RegExp; readonly instead: string; readonly allowed: readonly string[] }[] = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, instead: 'Clock', allowed: ['protocol/src/environment/clock.ts'] },
  { pattern: /\bMath\.random\(/, instead: 'Random', allowed: ['protocol/src/environment/random.ts'] },
  {
    pattern: /\b(setTimeout|setInterval|setImmediate)\(/,
    instead: 'Timers',
    // The last two set the time-outs of sockets.
    allowed: [
      'protocol/src/environment/timers.ts',
      'server/src/http/connections/upgrade-wish.ts',
      'server/src/http/connections/unread-answers.ts',
    ],
  },
  {
    pattern: /from\s*'node:fs(\/promises)?'/,
    instead: 'FileSystem',
    allowed: ['storage/src/files/file-system.ts', 'server/src/config/config-file.ts', 'server/src/metrics/open-files.ts'],
  },
  { pattern: /\bprocess\.exit\(/, instead: 'an exit code from main', allowed: ['server/src/process.ts'] },
];

const DRAWERS: ReadonlySet<string> = new Set(['utils', 'util', 'common', 'helpers', 'types', 'misc']);

const source = productSource();

const offences = (find: (file: SourceFile) => readonly string[]): readonly string[] =>
  source.flatMap((file) => find(file).map((text) => `${file.path}: ${text}`));

const packageOf = (path: string): string => path.split('/')[1] ?? '';
const roomOf = (path: string): string => (path.split('/src/')[1] ?? '').split('/')[0]?.replace(/\.tsx?$/, '') ?? '';

describe('budgets', () => {
  it(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    expect(offences(({ lines }) => (lines.length > FILE_LINES_MAX + 1 ? [`${lines.length} lines`] : []))).toEqual([]);
  });

  it(`half of the files are at most ${FILE_LINES_MEDIAN_MAX} lines long`, () => {
    const lengths = source.map(({ lines }) => lines.length).sort((a, b) => a - b);
    expect(lengths[lengths.length >> 1]).toBeLessThanOrEqual(FILE_LINES_MEDIAN_MAX);
  });

  it(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    expect(offences(longFunctions)).toEqual([]);
  });
});

describe('names', () => {
  it('files and folders are named in kebab case, and none is a drawer', () => {
    const found = offences(({ path }) => {
      const parts = (path.split('/src/')[1] ?? '').replace(/\.tsx?$/, '').split('/');
      return parts.filter((part) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*$/.test(part) || DRAWERS.has(part));
    });
    expect(found).toEqual([]);
  });
});

describe('documentation', () => {
  it('every export carries a doc comment', () => {
    expect(offences(({ path, lines }) => (path.endsWith('/index.ts') ? [] : undocumented(lines)))).toEqual([]);
  });
});

describe('imports', () => {
  it('go down between packages', () => {
    const found = offences(({ path, text }) =>
      [...text.matchAll(/from '@kalamdb\/(\w+)(?:\/\w+)?'/g)]
        .map(([, name = '']) => name)
        .filter((name) => !(PACKAGE_IMPORTS[packageOf(path)] ?? []).includes(name)),
    );
    expect(found).toEqual([]);
  });

  it('go down between the rooms of a package', () => {
    const found = offences(({ path, text }) => {
      const rooms = ROOMS[packageOf(path)];
      const own = roomOf(path);
      if (rooms === undefined || own === 'index') return [];
      if (!rooms.includes(own)) return [`the room '${own}' has no place in the order`];
      return [...text.matchAll(/from '((?:\.\.\/)+)([\w/.-]+)'/g)]
        .filter(([, up = '']) => up.length / 3 === (path.split('/src/')[1] ?? '').split('/').length - 1)
        .map(([, , target = '']) => target.split('/')[0]?.replace(/\.ts$/, '') ?? '')
        .filter((room) => rooms.indexOf(room) < rooms.indexOf(own));
    });
    expect(found).toEqual([]);
  });

  it('stay inside the package when they are relative', () => {
    const found = offences(({ path, text }) => {
      const depth = (path.split('/src/')[1] ?? '').split('/').length - 1;
      return [...text.matchAll(/from '((?:\.\.\/)+)/g)].map(([, up = '']) => up).filter((up) => up.length / 3 > depth);
    });
    expect(found).toEqual([]);
  });
});

describe('hazards', () => {
  it('time, randomness, timers and files are reached through their adapters', () => {
    const found = offences((file) => {
      const code = codeOf(file.text);
      return BANNED.filter(({ allowed }) => !allowed.some((path) => file.path.endsWith(path)))
        .filter(({ pattern }) => pattern.test(pattern.source.startsWith('from') ? file.text : code))
        .map(({ pattern, instead }) => `${pattern.source} (use ${instead})`);
    });
    expect(found).toEqual([]);
  });

  it('no error is dropped without a comment that says why it may be', () => {
    const silent = /\.catch\(\(\) => (undefined|\{\s*\}|null)\)|catch \{$/;
    const found = offences(({ lines }) =>
      lines.flatMap((line, index) => {
        const near = lines.slice(Math.max(0, index - 2), index + 2).join('\n');
        // A caught error that becomes an answer or another error is not dropped.
        if (/^\s*(return|throw|if|await)\b/.test(lines[index + 1] ?? '') && line.trim().endsWith('{')) return [];
        return silent.test(line) && !near.includes('//') ? [`line ${index + 1}`] : [];
      }),
    );
    expect(found).toEqual([]);
  });

  it('nothing is left for later', () => {
    const words = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', '@ts-' + 'ignore'].join('|'));
    const all = filesBelow(['packages', 'bench', 'demo', 'e2e', 'docs', 'scripts'], ['.ts', '.tsx', '.mjs', '.md']);
    expect(all.filter(({ text }) => words.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('tests are neither skipped nor run alone', () => {
    const words = new RegExp(`\\.(${['on', 'ly'].join('')}|${['sk', 'ip'].join('')})\\(`);
    const tests = filesBelow(['packages', 'e2e'], ['.test.ts', '.test.tsx']);
    expect(tests.filter(({ text }) => words.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('dead code', () => {
  it('every function and class that is exported is used somewhere else', () => {
    const everywhere = filesBelow(['packages', 'bench', 'demo', 'e2e'], ['.ts', '.tsx', '.cts', '.mjs']);
    const words = new Map<string, Set<string>>();
    for (const { path, text } of everywhere) {
      for (const word of new Set(text.match(/\b[A-Za-z_]\w*\b/g))) {
        const paths = words.get(word) ?? new Set();
        words.set(word, paths.add(path));
      }
    }
    const found = offences(({ path, text }) =>
      path.endsWith('/index.ts')
        ? []
        : exportedNames(text, 'function\\*?|class').filter((name) => [...(words.get(name) ?? [])].every((user) => user === path)),
    );
    expect(found).toEqual([]);
  });
});

function exportedNames(text: string, kinds: string = 'const|let|function\\*?|class|interface|type'): readonly string[] {
  const exported = new RegExp(`^export (?:declare )?(?:abstract )?(?:async )?(?:${kinds}) (\\w+)`, 'gm');
  return [...text.matchAll(exported)].map(([, name = '']) => name);
}

/** Exports whose line before is not the end of a doc comment; overloads after the first share the comment. */
function undocumented(lines: readonly string[]): readonly string[] {
  return lines.flatMap((line, index) => {
    const name = exportedNames(line)[0];
    const before = lines[index - 1]?.trim() ?? '';
    const overload = name !== undefined && exportedNames(lines.slice(0, index).join('\n')).includes(name);
    return name === undefined || overload || before.endsWith('*/') ? [] : [name];
  });
}

/** Functions and methods of formatted code: from the line that opens one to the line with its closing brace at the same depth. */
function longFunctions({ lines }: SourceFile): readonly string[] {
  const opens =
    /^(\s*)(?:export )?(?:async )?(?:(?:function\*? ?\w*|(?:static |async |get |set |\*|#)*[\w#]+)(?:<[^>]*>)?\(.*|(?:const|let) \w+.*=> |.*=> |\).*)\{$/;
  return lines.flatMap((line, start) => {
    const match = opens.exec(line);
    if (match === null || /^\s*(if|for|while|switch|else|catch|\} )/.test(line)) return [];
    const indent = match[1] ?? '';
    const end = lines.findIndex((other, index) => index > start && other.startsWith(`${indent}}`));
    return end - start + 1 > FUNCTION_LINES_MAX ? [`${end - start + 1} lines from line ${start + 1}`] : [];
  });
}
