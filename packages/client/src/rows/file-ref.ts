/** The members of a FILE cell as the server stores them. */
export interface FileRefData {
  readonly id: string;
  /** Folder of the file inside its table. */
  readonly sub: string;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly mime: string;
  readonly sha256: string;
  readonly shard?: number | undefined;
}

const MEMBERS = ['id', 'sub', 'name', 'mime', 'size', 'sha256', 'shard'] as const;
const SLUG_CHARACTERS_MAX = 50;
const EXTENSION = /^[a-z0-9]{1,10}$/;
const KINDS: readonly (readonly [prefix: string, description: string])[] = [
  ['image/', 'Image'],
  ['video/', 'Video'],
  ['audio/', 'Audio'],
  ['application/pdf', 'PDF'],
  ['text/', 'Text'],
];

const isFileRefData = (value: unknown): value is FileRefData => {
  if (typeof value !== 'object' || value === null) return false;
  const data = value as Record<string, unknown>;
  return MEMBERS.slice(0, 4).every((name) => typeof data[name] === 'string') && typeof data['size'] === 'number';
};

/** A reference to a stored file: what a FILE column holds. */
export class FileRef {
  declare readonly id: string;
  declare readonly sub: string;
  declare readonly name: string;
  /** Bytes. */
  declare readonly size: number;
  declare readonly mime: string;
  declare readonly sha256: string;
  declare readonly shard?: number | undefined;

  private constructor(data: FileRefData) {
    // by name: a cell may hold more, and what it holds must not hide a method
    for (const name of MEMBERS) if (data[name] !== undefined) Object.assign(this, { [name]: data[name] });
  }

  /** Reads a cell (JSON text or the parsed object); `null` when it is not a file reference. */
  static from(cell: unknown): FileRef | null {
    if (cell instanceof FileRef) return cell;
    if (typeof cell === 'string') return FileRef.fromJson(cell);
    return isFileRefData(cell) ? new FileRef(cell) : null;
  }

  /** Reads JSON text; `null` when it is not a file reference. */
  static fromJson(text: string): FileRef | null {
    try {
      const parsed: unknown = JSON.parse(text);
      return isFileRefData(parsed) ? new FileRef(parsed) : null;
    } catch {
      return null;
    }
  }

  /** The name on the server: `<id>-<slug>.<extension>`. Letters and digits of the name are kept in lower case, runs of spaces, `_` and `-` become one `-`. */
  storedName(): string {
    const dot = this.name.lastIndexOf('.');
    const stem = dot > 0 ? this.name.slice(0, dot) : this.name;
    const slug = stem
      .toLowerCase()
      .replace(/[\s_-]+/g, '-')
      .replace(/[^a-z0-9-]/g, '')
      .slice(0, SLUG_CHARACTERS_MAX)
      .replace(/^-+|-+$/g, '');
    const extension = dot > 0 ? this.name.slice(dot + 1).toLowerCase() : '';
    return `${this.id}${slug === '' ? '' : `-${slug}`}.${EXTENSION.test(extension) ? extension : 'bin'}`;
  }

  /** The path inside the table's folder. */
  relativePath(): string {
    return `${this.sub}/${this.storedName()}`;
  }

  /** Where the bytes are served; the request needs the same bearer token as a query. */
  getDownloadUrl(baseUrl: string, namespace: string, table: string): string {
    const parts = [namespace, table, this.sub, this.storedName()].map(encodeURIComponent);
    return `${baseUrl.replace(/\/+$/, '')}/v1/files/${parts.join('/')}`;
  }

  /** The size for people: `512 B`, `20.0 KB`, `3.4 MB`. */
  formatSize(): string {
    const units = ['B', 'KB', 'MB', 'GB', 'TB'];
    let size = this.size;
    let unit = 0;
    while (size >= 1024 && unit < units.length - 1) {
      size /= 1024;
      unit++;
    }
    return unit === 0 ? `${size} B` : `${size.toFixed(1)} ${units[unit]}`;
  }

  isImage(): boolean {
    return this.getTypeDescription() === 'Image';
  }
  isVideo(): boolean {
    return this.getTypeDescription() === 'Video';
  }
  isAudio(): boolean {
    return this.getTypeDescription() === 'Audio';
  }
  isPdf(): boolean {
    return this.getTypeDescription() === 'PDF';
  }

  /** One word for people: Image, Video, Audio, PDF, Text or File. */
  getTypeDescription(): string {
    return KINDS.find(([prefix]) => this.mime.startsWith(prefix))?.[1] ?? 'File';
  }

  /** The JSON text of the cell. */
  toJson(): string {
    return JSON.stringify(this);
  }

  /** The members as a plain object. */
  toObject(): FileRefData {
    return { ...this };
  }
}
