import { unified } from './meeting.ts';
import type { Piece } from './piece.ts';
import type { Place } from './scope.ts';

/** COALESCE, GREATEST and LEAST over pieces of one type. */
export function writeExtreme(name: 'coalesce' | 'greatest' | 'least', pieces: readonly Piece[], place: Place): Piece {
  const alike = unified(pieces, name.toUpperCase(), place);
  return alike.as(`${name}(${alike.texts.join(', ')})`);
}
