/**
 * The key ring: what signs cookies and tokens, and what fingerprints are made with.
 *
 * The first key signs, every key verifies. Each purpose has a subkey of its own (HKDF, RFC 5869), so that a signature
 * made for one purpose never counts for another. Comparisons take constant time. Secrets never leave this object.
 */
import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';

export interface KeyData {
  readonly id: string;
  /** 32 bytes or more. */
  readonly secret: Uint8Array;
}

const PURPOSES = ['identity', 'latch', 'override', 'fingerprint'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Bytes of a truncated HMAC-SHA256, and characters of them in base64url. */
const MAC_BYTES = 16;
export const MAC_LENGTH = 22;

interface Key {
  readonly id: string;
  readonly subkeys: { readonly [purpose in Purpose]: KeyObject };
}

export class KeyRing {
  /** The id of the key that signs. */
  readonly currentId: string;
  readonly #keys: readonly Key[];
  readonly #source: readonly KeyData[];

  /** Throws where `keys` is empty or a secret is shorter than 32 bytes. */
  constructor(keys: readonly KeyData[]) {
    const [first] = keys;
    if (first === undefined) throw new Error('The key ring holds no key.');
    this.currentId = first.id;
    this.#keys = keys.map(deriveKey);
    this.#source = keys;
  }

  /** Whether it was made of these very keys. */
  isMadeOf(keys: readonly KeyData[]): boolean {
    if (keys.length !== this.#source.length) return false;
    return keys.every(({ id, secret }, index) => {
      const own = this.#source[index]!;
      return (
        own.id === id && own.secret.byteLength === secret.byteLength && timingSafeEqual(own.secret, secret)
      );
    });
  }

  /** Base64url of the truncated HMAC-SHA256 of `text` (as UTF-8), made with the first key; 22 characters. */
  sign(purpose: Purpose, text: string): string {
    return mac(this.#keys[0]!.subkeys[purpose], text);
  }

  /** Whether `signature` is one that a key of the ring makes. */
  verify(purpose: Purpose, text: string, signature: string): boolean {
    if (signature.length !== MAC_LENGTH) return false;
    const given = Buffer.from(signature, 'latin1');
    let genuine = false;
    for (const key of this.#keys) {
      const expected = Buffer.from(mac(key.subkeys[purpose], text), 'latin1');
      if (timingSafeEqual(expected, given)) genuine = true;
    }
    return genuine;
  }

  has(keyId: string): boolean {
    return this.#keys.some((key) => key.id === keyId);
  }

  /**
   * The keyed hash of `text` under the named key; 22 characters. A key that has left the ring is replaced by the
   * first: users then move, but all replicas still agree.
   */
  fingerprint(keyId: string, text: string): string {
    const key = this.#keys.find((candidate) => candidate.id === keyId) ?? this.#keys[0]!;
    return mac(key.subkeys.fingerprint, text);
  }
}

function deriveKey({ id, secret }: KeyData): Key {
  if (secret.byteLength < 32) throw new Error(`The key "${id}" is shorter than 32 bytes.`);
  const subkey = (purpose: Purpose): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `serin ${purpose}`, 32)));
  return {
    id,
    subkeys: {
      identity: subkey('identity'),
      latch: subkey('latch'),
      override: subkey('override'),
      fingerprint: subkey('fingerprint'),
    },
  };
}

function mac(key: KeyObject, text: string): string {
  return createHmac('sha256', key).update(text, 'utf8').digest().toString('base64url', 0, MAC_BYTES);
}
