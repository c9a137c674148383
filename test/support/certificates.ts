/**
 * Certificates made for a test: authorities of its own, and certificates that they issue, with keys on the P-256 curve.
 *
 * The few parts of X.509 (RFC 5280) that a test needs are written here as DER: libraries for it want polyfills or a process each.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

export interface Issued {
  /** PEM. */
  readonly certificate: string;
  /** PEM (PKCS #8). */
  readonly key: string;
}

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** A certificate for DNS names and IPv4 addresses; the first one is its common name. Valid from `begun` until `days` from now, in days, negative for the past. */
  issue(names: readonly string[], days?: number, begun?: number): Issued;
}

const DAY = 86_400_000;

const ECDSA_WITH_SHA256 = der(0x30, oid('1.2.840.10045.4.3.2'));
const BASIC_CONSTRAINTS_CA = der(
  0x30,
  oid('2.5.29.19'),
  der(0x01, Buffer.of(0xff)),
  der(0x04, der(0x30, der(0x01, Buffer.of(0xff)))),
);

export function makeAuthority(name = 'Test authority'): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = distinguishedName(name);
  const own = certificate(issuer, issuer, keys.publicKey, keys.privateKey, 30, BASIC_CONSTRAINTS_CA);
  return {
    certificate: own,
    issue(names, days = 20, begun = -40) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const subject = distinguishedName(names[0] ?? 'nobody');
      return {
        certificate: certificate(
          issuer,
          subject,
          publicKey,
          keys.privateKey,
          days,
          alternativeNames(names),
          begun,
        ),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

function certificate(
  issuer: Buffer,
  subject: Buffer,
  publicKey: KeyObject,
  signingKey: KeyObject,
  days: number,
  extension: Buffer,
  begun = -40,
): string {
  const body = der(
    0x30,
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    issuer,
    der(0x30, time(Date.now() + begun * DAY), time(Date.now() + days * DAY)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, extension)),
  );
  const signature = sign('sha256', body, signingKey);
  const whole = der(0x30, body, ECDSA_WITH_SHA256, der(0x03, Buffer.of(0), signature));
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName(name: string): Buffer {
  return der(0x30, der(0x31, der(0x30, oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));
}

function alternativeNames(names: readonly string[]): Buffer {
  const entries = names.map((name) =>
    isIP(name) === 4 ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name)),
  );
  return der(0x30, oid('2.5.29.17'), der(0x04, der(0x30, ...entries)));
}

/** UTCTime: good until 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const groups = [part & 127];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 127) | 128);
    return groups;
  });
  return der(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >>> 8, length & 255];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}
