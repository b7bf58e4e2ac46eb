import { Buffer } from 'node:buffer';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeRecordsSteps } from './log-format.ts';

it('records that are encoded in steps are those of the format, whatever their size', () => {
  const bytes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 500_000, max: 1_200_000 }));
  fc.assert(
    fc.property(fc.array(bytes, { minLength: 1, maxLength: 4 }), fc.boolean(), (sizes, begins) => {
      const entries = sizes.map((size, index) => ({ seq: BigInt(index + 1), payload: Buffer.alloc(size, index + 1) }));
      const steps = encodeRecordsSteps(entries, 7, begins ? 99 : undefined);
      let pieces = 1;
      let step = steps.next();
      for (; step.done !== true; step = steps.next()) pieces += 1;
      let crc = 7;
      const expected = entries.map(({ seq, payload }, index) => {
        const tagged = begins && index === 0;
        const head = Buffer.alloc(tagged ? 16 : 12);
        head.writeUInt32BE(payload.length + (tagged ? 2 ** 31 : 0), 0);
        head.writeBigUInt64BE(seq, 4);
        if (tagged) head.writeUInt32BE(99, 12);
        const body = Buffer.concat([head, payload]);
        crc = crc32c(body, crc);
        const tail = Buffer.alloc(4);
        tail.writeUInt32BE(crc, 0);
        return Buffer.concat([body, tail]);
      });
      expect(step.value.bytes.equals(Buffer.concat(expected))).toBe(true);
      expect(step.value.crc).toBe(crc);
      expect(pieces).toBeGreaterThanOrEqual(Math.floor(sizes.reduce((sum, size) => sum + size, 0) / (1024 * 1024)));
    }),
    { numRuns: 30 },
  );
});
