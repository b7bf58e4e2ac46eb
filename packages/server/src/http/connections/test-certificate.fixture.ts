import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const SUBJECT_ALT_NAME = '2.5.29.17';

/** A certificate for `localhost` and 127.0.0.1 that signs itself, and its key, in PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate that is valid between two times. */
export function testCertificate(notBefore: Date, notAfter: Date, name = 'localhost'): TestCertificate {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const body = toBeSigned(privateKey, { notBefore, notAfter, name });
  const signature = sign('sha256', body, privateKey);
  const der = sequence(body, algorithm(), tagged(0x03, Buffer.concat([Buffer.of(0), signature])));
  const base64 = der.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}

interface Subject {
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly name: string;
}

function toBeSigned(key: KeyObject, { notBefore, notAfter, name }: Subject): Buffer {
  const person = sequence(tagged(0x31, sequence(identifier(COMMON_NAME), tagged(0x0c, Buffer.from(name)))));
  const names = sequence(tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.of(127, 0, 0, 1)));
  const extension = sequence(identifier(SUBJECT_ALT_NAME), tagged(0x04, names));
  return sequence(
    tagged(0xa0, tagged(0x02, Buffer.of(2))),
    tagged(0x02, Buffer.of(1)),
    algorithm(),
    person,
    sequence(time(notBefore), time(notAfter)),
    person,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(extension)),
  );
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function algorithm(): Buffer {
  return sequence(identifier(ECDSA_WITH_SHA256));
}

/** GeneralizedTime, `20260131080000Z`. */
function time(date: Date): Buffer {
  return tagged(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+Z/g, '')}Z`));
}

function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 127];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 127) | 128);
    bytes.push(...digits);
  }
  return tagged(0x06, Buffer.from(bytes));
}
