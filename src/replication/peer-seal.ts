/**
 * How a message between replicas shows that it comes from one of them: an HMAC-SHA256 over sender, receiver and body, once
 * for each key of the sender's ring. It counts where one of the receiver's keys made one of them, so that replicas
 * whose rings are renewed one after another never lose each other.
 *
 * The body is hashed first and the short text is signed: what a stranger sends costs one hash, however many signatures
 * it brings.
 */
import { createHash } from 'node:crypto';
import { type KeyData, KeyRing, MAC_LENGTH } from '../policy/keys.ts';

/** More signatures than any ring has keys. */
const MOST_SIGNATURES = 16;

export interface PeerSeal {
  /** The signatures, separated by commas. */
  sign(from: string, to: string, body: Uint8Array): string;
  /** Takes the same time wherever a signature is wrong. */
  verify(from: string, to: string, body: Uint8Array, signatures: string): boolean;
}

/** `keys` is asked each time: a ring may be read anew. */
export function createPeerSeal(keys: () => readonly KeyData[]): PeerSeal {
  let ring: KeyRing | null = null;
  const current = (): KeyRing => {
    const now = keys();
    if (ring === null || !ring.isMadeOf(now)) ring = new KeyRing(now);
    return ring;
  };
  return {
    sign: (from, to, body) =>
      current()
        .signWithEach('peer', signedText(from, to, body))
        .slice(0, MOST_SIGNATURES)
        .join(','),
    verify(from, to, body, signatures) {
      // No list is longer than this, so none is taken apart before it is known to be short.
      if (signatures.length > MOST_SIGNATURES * (MAC_LENGTH + 1)) return false;
      const text = signedText(from, to, body);
      let genuine = false;
      for (const signature of signatures.split(',')) {
        if (/^[A-Za-z0-9_-]{22}$/.test(signature) && current().verify('peer', text, signature))
          genuine = true;
      }
      return genuine;
    },
  };
}

/** Names hold no line end, so no two triples give the same text. */
function signedText(from: string, to: string, body: Uint8Array): string {
  return `serin-peer-1\n${from}\n${to}\n${createHash('sha256').update(body).digest('base64url')}`;
}
