/**
 * Certificates, keys and authorities: from the text of their files to a credential that TLS can use, or the reason why not.
 *
 * Pure. It promises that what it returns makes a TLS context; no message holds anything of a file.
 */
import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Credential } from '../contract/snapshot.ts';

/** What the files hold; undefined where none is named. */
export interface CredentialText {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** From when until when a certificate is valid, in ms since 1970. */
export interface Period {
  readonly from: number;
  readonly until: number;
}

export interface CheckedCredential {
  readonly credential: Credential;
  /** When the first certificate of the chain expires, in ms since 1970. */
  readonly chainExpires?: number;
  /** When the last of the authorities expires. */
  readonly authoritiesExpire?: number;
  /** Of the certificate itself; those that lead to its authority may be of other times. */
  readonly own?: Period;
  readonly authorities: readonly Period[];
}

/** The file at fault, and what is wrong with it. */
export interface CredentialFault {
  readonly file: 'certificate' | 'key' | 'ca';
  readonly detail: string;
}

export function checkCredential(text: CredentialText): CheckedCredential | CredentialFault {
  const { certificate, key, ca } = text;
  const authorities = ca === undefined ? [] : readCertificates(ca);
  if (typeof authorities === 'string') return { file: 'ca', detail: authorities };
  const chain = certificate === undefined ? [] : readCertificates(certificate);
  if (typeof chain === 'string') return { file: 'certificate', detail: chain };
  const own = chain[0];
  if (own !== undefined) {
    const fault = keyFault(own, key ?? '');
    if (fault !== null) return fault;
  }
  try {
    createSecureContext({
      ...(certificate === undefined ? {} : { cert: certificate, key: key! }),
      ...(ca === undefined ? {} : { ca }),
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { file: certificate === undefined ? 'ca' : 'certificate', detail: `TLS can not use it (${code})` };
  }
  const parts = [certificate ?? '', key ?? '', ca ?? ''] as const;
  return {
    credential: {
      id: createHash('sha256').update(JSON.stringify(parts)).digest('hex'),
      names: own === undefined ? [] : namesOf(own),
      certificate: parts[0],
      key: parts[1],
      ca: parts[2],
    },
    ...(chain.length === 0 ? {} : { chainExpires: Math.min(...chain.map(expiry)) }),
    ...(authorities.length === 0 ? {} : { authoritiesExpire: Math.max(...authorities.map(expiry)) }),
    ...(own === undefined ? {} : { own: periodOf(own) }),
    authorities: authorities.map(periodOf),
  };
}

const NO_CERTIFICATES =
  'it holds no certificate that can be read; expected PEM text with -----BEGIN CERTIFICATE-----';
const CUT =
  'it ends within a certificate; expected each -----BEGIN CERTIFICATE----- to have its -----END CERTIFICATE-----';
const BEGIN = '-----BEGIN CERTIFICATE-----';
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** At least one certificate, or what is wrong. */
function readCertificates(text: string): X509Certificate[] | string {
  const blocks = text.match(BLOCK) ?? [];
  if (text.split(BEGIN).length - 1 !== blocks.length) return CUT;
  try {
    return blocks.length === 0 ? NO_CERTIFICATES : blocks.map((block) => new X509Certificate(block));
  } catch {
    return NO_CERTIFICATES;
  }
}

function keyFault(own: X509Certificate, text: string): CredentialFault | null {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    const encrypted = text.includes('ENCRYPTED');
    const detail = encrypted
      ? 'the key is encrypted; store it without a passphrase, readable for this user alone'
      : 'it holds no private key that can be read; expected PEM text with -----BEGIN PRIVATE KEY-----';
    return { file: 'key', detail };
  }
  return own.checkPrivateKey(key)
    ? null
    : { file: 'key', detail: 'it is not the key of the certificate; each must come from the same request' };
}

/** The DNS names in lower case; the common name counts where there are none, as it once did for everybody. */
function namesOf(certificate: X509Certificate): string[] {
  const alternative = certificate.subjectAltName ?? '';
  const names = [...alternative.matchAll(/(?:^|, )DNS:([A-Za-z0-9_.*-]+)(?=,|$)/g)].map(
    ([, name = '']) => name,
  );
  if (names.length === 0)
    names.push(...(/^CN=([A-Za-z0-9_.*-]+)$/m.exec(certificate.subject)?.slice(1) ?? []));
  return names.map((name) => name.toLowerCase());
}

function periodOf(certificate: X509Certificate): Period {
  return { from: certificate.validFromDate.getTime(), until: expiry(certificate) };
}

function expiry(certificate: X509Certificate): number {
  return certificate.validToDate.getTime();
}
