import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { childText, escapeXml, parseXml, type XmlElement } from './xml-tree.ts';

describe('documents of S3', () => {
  it('reads elements, texts, entities, empty elements and sections', () => {
    const document = parseXml(
      `<?xml version="1.0" encoding="UTF-8"?>\n<!-- made up --><ns:List xmlns:ns="http://example.com/a>b" a='c'>
        <Key>a&amp;b&lt;c&#x41;&#66;</Key><Empty/><Also  b="1" /><Raw><![CDATA[<&>]]></Raw></ns:List>\n`,
    );
    expect(document?.name).toBe('List');
    expect(document?.children.map(({ name, text }) => [name, text])).toEqual([
      ['Key', 'a&b<cAB'],
      ['Empty', ''],
      ['Also', ''],
      ['Raw', '<&>'],
    ]);
    expect(document && childText(document, 'None')).toBeUndefined();
  });

  it('refuses what is not a document, or could grow', () => {
    const refused = [
      '',
      'text',
      '<a>',
      '<a></b>',
      '</a>',
      '<a/><b/>',
      '<a>&unknown;</a>',
      '<a>&</a>',
      '<a>&#x110000;</a>',
      '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
      '<a b="<"></a',
      '<a'.repeat(10),
      '<a>'.repeat(1_000) + '</a>'.repeat(1_000),
      `<a>${'<b/>'.repeat(100_001)}</a>`,
      '{"json": true}',
    ];
    for (const text of refused) expect(parseXml(text)).toBeUndefined();
  });

  it('gives back every text that was written', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 10 }), (texts) => {
        const document = parseXml(`<a>${texts.map((text) => `<b>${escapeXml(text)}</b>`).join('')}</a>`);
        expect(document?.children.map((child: XmlElement) => child.text)).toEqual(texts);
      }),
    );
  });

  it('answers to anything, soon', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '/',
      '&',
      ';',
      '#',
      'a',
      '"',
      "'",
      '=',
      ' ',
      '<!',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      '<!--',
      '-->',
      '\ufeff',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const found = parseXml(pieces.join(''));
        expect(found === undefined || typeof found.name === 'string').toBe(true);
      }),
      { numRuns: 2_000 },
    );
    for (const text of ['<a '.repeat(20_000), `<a ${'b="'.repeat(20_000)}`, '<!--'.repeat(20_000), `<a>${'&#'.repeat(20_000)}</a>`]) {
      expect(parseXml(text)).toBeUndefined();
    }
  });
});
