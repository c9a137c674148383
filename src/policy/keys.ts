/**
 * The key ring: what signs cookies and tokens, and what fingerprints are made with.
 *
 * The first key signs, every key verifies. Each purpose has a subkey of its own (HKDF, RFC 5869), so that a signature
 * made for one purpose never counts for another. Comparisons take constant time. Secrets never leave this object.
 */
import { hash, hkdfSync, timingSafeEqual } from 'node:crypto';

export interface KeyData {
  readonly id: string;
  /** 32 bytes or more. */
  readonly secret: Uint8Array;
}

const PURPOSES = ['identity', 'latch', 'override', 'fingerprint', 'peer', 'digest'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** Characters of a truncated HMAC-SHA256: 16 bytes in base64url. */
export const MAC_LENGTH = 22;

interface Key {
  readonly id: string;
  readonly subkeys: { readonly [purpose in Purpose]: Subkey };
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
    return this.#keys[0]!.subkeys[purpose].mac(text);
  }

  /** The same made with each key of the ring, in its order: whoever knows one of them can verify. */
  signWithEach(purpose: Purpose, text: string): string[] {
    return this.#keys.map((key) => key.subkeys[purpose].mac(text));
  }

  /** Whether `signature` is one that a key of the ring makes. */
  verify(purpose: Purpose, text: string, signature: string): boolean {
    if (signature.length !== MAC_LENGTH) return false;
    given.write(signature, 'latin1');
    let genuine = false;
    for (const key of this.#keys) {
      expected.write(key.subkeys[purpose].mac(text), 'latin1');
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
    return key.subkeys.fingerprint.mac(text);
  }
}

/** Scratch for comparisons. */
const given = Buffer.alloc(MAC_LENGTH);
const expected = Buffer.alloc(MAC_LENGTH);

function deriveKey({ id, secret }: KeyData): Key {
  if (secret.byteLength < 32) throw new Error(`The key "${id}" is shorter than 32 bytes.`);
  const subkey = (purpose: Purpose): Subkey =>
    new Subkey(new Uint8Array(hkdfSync('sha256', secret, '', `serin ${purpose}`, 32)));
  return {
    id,
    subkeys: {
      identity: subkey('identity'),
      latch: subkey('latch'),
      override: subkey('override'),
      fingerprint: subkey('fingerprint'),
      peer: subkey('peer'),
      digest: subkey('digest'),
    },
  };
}

const BLOCK = 64;
const DIGEST = 32;
/** Texts of up to this many bytes are signed without an allocation of their own. */
const USUAL_TEXT = 4096;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * HMAC-SHA256 (RFC 2104) by two one-shot hashes over buffers that begin with the padded key. It gives what
 * `createHmac` gives and takes half the time, since no object is made for each text.
 */
class Subkey {
  readonly #inner = Buffer.alloc(BLOCK + USUAL_TEXT);
  readonly #outer = Buffer.alloc(BLOCK + DIGEST);

  constructor(key: Uint8Array) {
    for (let at = 0; at < BLOCK; at++) {
      this.#inner[at] = (key[at] ?? 0) ^ 0x36;
      this.#outer[at] = (key[at] ?? 0) ^ 0x5c;
    }
  }

  /** The first 16 bytes in base64url. */
  mac(text: string): string {
    this.#outer.write(hash('sha256', this.#message(text), 'binary'), BLOCK, 'latin1');
    const whole = hash('sha256', this.#outer, 'base64url');
    // Of the 22nd character only the upper two bits belong to the first 16 bytes.
    const last = ALPHABET[ALPHABET.indexOf(whole[MAC_LENGTH - 1]!) & 0x30]!;
    return whole.slice(0, MAC_LENGTH - 1) + last;
  }

  #message(text: string): Buffer {
    // A character takes at most three bytes of UTF-8.
    if (3 * text.length <= USUAL_TEXT) {
      return this.#inner.subarray(0, BLOCK + this.#inner.write(text, BLOCK, 'utf8'));
    }
    return Buffer.concat([this.#inner.subarray(0, BLOCK), Buffer.from(text, 'utf8')]);
  }
}
