import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** The repository's root. */
export const root: string = join(import.meta.dirname, '../../../..');

const SKIPPED: ReadonlySet<string> = new Set(['node_modules', 'dist', '.git', 'data']);

/** One file of the repository. */
export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

/** Every file below the folders whose name ends in one of the endings, by path. */
export function filesBelow(folders: readonly string[], endings: readonly string[]): readonly SourceFile[] {
  const paths = folders
    .flatMap((folder) => [...walk(join(root, folder))])
    .filter((path) => endings.some((ending) => path.endsWith(ending)));
  return paths.sort().map((path) => {
    const text = readFileSync(path, 'utf8');
    return { path: relative(root, path).split(sep).join('/'), text, lines: text.split('\n') };
  });
}

function* walk(folder: string): Iterable<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}

/** The files that ship: no tests, no fixtures. */
export function productSource(): readonly SourceFile[] {
  return filesBelow(['packages'], ['.ts', '.tsx']).filter(
    ({ path }) =>
      path.includes('/src/') && !/\.(test|fixture|fake|arbitrary|conformance)\.tsx?$/.test(path) && !path.startsWith('packages/testing/'),
  );
}

/** Text without comments and string contents, positions of lines kept. */
export function codeOf(text: string): string {
  const blank = (part: string): string => part.replace(/[^\n]/g, ' ');
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g, (part) =>
    part.startsWith('/') ? blank(part) : part.charAt(0) + blank(part.slice(1, -1)) + part.charAt(0),
  );
}
