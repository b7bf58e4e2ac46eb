import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isolatedDeclarationSync } from 'rolldown/experimental';

/** The declarations of what the door exports, by name: emitted from each source by itself, without comments. */
export function publicTypes(): Readonly<Record<string, string>> {
  const door = readFileSync(join(import.meta.dirname, 'index.ts'), 'utf8');
  const types: Record<string, string> = { createClient: declarations('index.ts', 'createClient') };
  for (const [, names = '', file = ''] of door.matchAll(/export (?:type )?\{([^}]*)\} from '\.\/([^']+)'/g)) {
    for (const name of names.split(',').map((one) => one.replace(/\btype\b/, '').trim())) {
      if (name !== '') types[name] = declarations(file, name);
    }
  }
  return types;
}

function declarations(file: string, name: string): string {
  const source = readFileSync(join(import.meta.dirname, file), 'utf8');
  const { code, errors } = isolatedDeclarationSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors.map(({ message }) => message).join('; ')}`);
  const statements = code.replace(/\/\*[\s\S]*?\*\//g, '').split(/^(?=\S*\b(?:export|import|declare|interface|type)\b)/m);
  const own = statements.filter((statement) =>
    new RegExp(`^export (?:declare )?(?:class|interface|type|const|function) ${name}\\b`).test(statement),
  );
  if (own.length === 0) throw new Error(`${file} does not declare ${name}`);
  return own
    .join('')
    .replace(/\n\s*\n/g, '\n')
    .trim();
}
