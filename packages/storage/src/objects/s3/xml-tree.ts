/** Elements of one document at most. */
const ELEMENTS_MAX = 100_000;
/** Depth of a document at most. */
const DEPTH_MAX = 16;

/** One element of a document: its children, or its text. Prefixes of names are left out. */
export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  /** The text between its tags, children left out. */
  readonly text: string;
}

interface OpenElement {
  readonly name: string;
  readonly children: XmlElement[];
  text: string;
}

const TOKEN =
  /<\?[\s\S]*?\?>|<!--[\s\S]*?-->|<!\[CDATA\[(?<data>[\s\S]*?)\]\]>|<\/(?<close>[^\s<>/]+)\s*>|<(?<open>[^\s<>/!?]+)(?<rest>(?:\s(?:"[^"]*"|'[^']*'|[^<>"'])*?)?\/?)>|(?<text>[^<]+)/y;
const NAMED_ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/**
 * Reads a document of elements and text, the kind that S3 answers with. Declarations of types and entities are not read, so nothing
 * outside the document is ever looked at and nothing grows. `undefined` when it is not well formed or larger than any answer.
 */
export function parseXml(document: string): XmlElement | undefined {
  const top: OpenElement = { name: '', children: [], text: '' };
  const open: OpenElement[] = [top];
  let elements = 0;
  TOKEN.lastIndex = document.startsWith('\ufeff') ? 1 : 0;
  while (TOKEN.lastIndex < document.length) {
    const groups = TOKEN.exec(document)?.groups;
    const current = open.at(-1);
    if (groups === undefined || current === undefined) return undefined;
    const { data, close, open: name, rest = '', text } = groups;
    if (name !== undefined) {
      elements += 1;
      if (elements > ELEMENTS_MAX || open.length > DEPTH_MAX) return undefined;
      const element: OpenElement = { name: localName(name), children: [], text: '' };
      current.children.push(element);
      if (!rest.endsWith('/')) open.push(element);
    } else if (close !== undefined) {
      if (open.length === 1 || current.name !== localName(close)) return undefined;
      open.pop();
    } else {
      const piece = data ?? (text === undefined ? '' : unescapeXml(text));
      if (piece === undefined) return undefined;
      current.text += piece;
    }
  }
  const [root, second] = top.children;
  return open.length === 1 && second === undefined && top.text.trim() === '' ? root : undefined;
}

/** The text of the child of this name; `undefined` without one. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

/** A text as it may stand between tags. */
export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

function unescapeXml(text: string): string | undefined {
  let isSound = true;
  const plain = text.replace(/&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(\w{1,8}));|&/g, (_, hex?: string, decimal?: string, name?: string) => {
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    const character = name === undefined ? characterAt(point) : NAMED_ENTITIES[name];
    isSound &&= character !== undefined;
    return character ?? '';
  });
  return isSound ? plain : undefined;
}

function characterAt(point: number): string | undefined {
  return point <= 0x10_ffff ? String.fromCodePoint(point) : undefined;
}
