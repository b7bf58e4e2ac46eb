import { type DataType, kalamError, type NonNullCell, parseJson, plainType, sqlTypeName } from '@kalamdb/protocol';
import { isTextual } from '../type-families.ts';
import type { FunctionFamily } from './function-spec.ts';

type Vector = Float32Array | Float64Array;

function fromText(text: string): Vector {
  const value = parseJson(text);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'number' || typeof item === 'bigint')) {
    throw kalamError('INVALID_ARGUMENT', { reason: 'COSINE_DISTANCE() query vector must be a JSON array of numbers' });
  }
  if (value.length === 0) throw kalamError('INVALID_ARGUMENT', { reason: 'COSINE_DISTANCE() query vector cannot be empty' });
  return Float64Array.from(value, Number);
}

/** Reads a vector; a text is parsed again only when it changes. */
function reader(type: DataType | undefined): (cell: NonNullCell) => Vector {
  if (type?.kind === 'embedding') return (cell) => cell as Float32Array;
  if (type === undefined || !isTextual(type)) {
    throw kalamError('TYPE_MISMATCH', {
      reason: `COSINE_DISTANCE() takes vectors, not ${type === undefined ? 'nothing' : sqlTypeName(type)}`,
    });
  }
  let text: NonNullCell | undefined;
  let vector: Vector = new Float64Array();
  return (cell) => {
    if (cell !== text) {
      vector = fromText(String(cell));
      text = cell;
    }
    return vector;
  };
}

/** 0 for the same direction, 1 at right angles or when a vector is zero, 2 for opposite ones. */
function cosineDistance(a: Vector, b: Vector): number {
  if (a.length !== b.length) {
    throw kalamError('INVALID_ARGUMENT', { reason: `COSINE_DISTANCE() dimension mismatch: row has ${a.length}, query has ${b.length}` });
  }
  let dot = 0;
  let normA = 0;
  let normB = 0;
  for (let i = 0; i < a.length; i += 1) {
    const x = a[i] ?? 0;
    const y = b[i] ?? 0;
    dot += x * y;
    normA += x * x;
    normB += y * y;
  }
  if (normA === 0 || normB === 0) return 1;
  return Math.fround(1 - Math.max(-1, Math.min(1, dot / Math.sqrt(normA * normB))));
}

/** Functions over vectors. */
export const VECTOR_FUNCTIONS: FunctionFamily = {
  cosine_distance: [
    {
      arguments: ['any', 'any'],
      result: plainType('float'),
      body: {
        make: ([left, right]) => {
          const a = reader(left);
          const b = reader(right);
          return (x: NonNullCell, y: NonNullCell) => cosineDistance(a(x), b(y));
        },
      },
    },
  ],
};
