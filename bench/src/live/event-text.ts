import type { SeenEvent } from './event-book.ts';

const ID = '"id":';
const AT = '"at":';
const SEQ = '"_seq":"';
const QUOTE = 0x22;

/** The digits at a place, which may stand in quotes. */
export function integerAt(text: string, at: number): number {
  let value = 0;
  for (let index = text.charCodeAt(at) === QUOTE ? at + 1 : at; ; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (!(digit >= 0 && digit <= 9)) return value;
    value = value * 10 + digit;
  }
}

/** Calls `see` for each row in a frame from a place on. Parsing the frame would cost more than receiving it. */
export function eventsIn(text: string, from: number, see: (event: SeenEvent) => void): void {
  for (let at = text.indexOf(ID, from); at >= 0; ) {
    const seqFrom = text.indexOf(SEQ, at) + SEQ.length;
    const seqEnd = text.indexOf('"', seqFrom);
    const dueMicros = integerAt(text, text.indexOf(AT, at) + AT.length);
    see({ id: integerAt(text, at + ID.length), dueMicros, seq: text.slice(seqFrom, seqEnd) });
    at = text.indexOf(ID, seqEnd);
  }
}
