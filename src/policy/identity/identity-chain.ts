/**
 * The identity chain: which string stands for the user of a request.
 *
 * The first tier that is present speaks. A minted id is random, signed, and shared by all services of its host. It also carries the
 * fingerprint of the request that it was minted for, bound to the rollouts that run at that moment: so parallel first requests,
 * clients that refuse cookies and other replicas all decide alike. After those rollouts the random id counts. An id
 * that does not verify counts as absent.
 */
import { LRUCache } from 'lru-cache';
import type { ClientAddress } from '../../ip/address.ts';
import { IDENTITY_COOKIE } from '../cookies.ts';
import type { RequestFacts } from '../facts.ts';
import { MAC_LENGTH, type KeyRing } from '../keys.ts';
import { TAG_LENGTH } from '../latch/latch.ts';
import type { IdentityTier } from './identity-tier.ts';
import { standaloneText } from '../../schema/latin1.ts';

/** One tier, made ready. `name` is a lower-case header name or a cookie name. */
export interface CompiledTier {
  readonly kind: 'header' | 'cookie' | 'minted' | 'fingerprint';
  readonly name: string;
  readonly mints: boolean;
}

export function compileChain(chain: readonly IdentityTier[]): readonly CompiledTier[] {
  return chain.map((tier) => {
    if ('header' in tier) return { kind: 'header', name: tier.header.toLowerCase(), mints: false };
    if ('fingerprint' in tier) return { kind: 'fingerprint', name: '', mints: false };
    const ours = tier.cookie === IDENTITY_COOKIE;
    const mints = tier.mint ?? ours;
    return { kind: mints || ours ? 'minted' : 'cookie', name: tier.cookie, mints };
  });
}

/** A minted id that verified. The hashes are a memory of the decision code. */
export interface MintedId {
  /** The service that alone may use it; '' where all services of the host may. */
  readonly service: string;
  readonly id: string;
  /** The tags of the rollouts that the fingerprint counts for, one after the other; '' where there is none. */
  readonly rolloutTags: string;
  readonly fingerprint: string;
  /** The salt and the identity that `hash` was made with; `userHash` was made with the same salt. */
  hashSalt: string;
  hashed: string;
  /** Hash of what stands for the user in that rollout. */
  hash: number;
  /** Hash of the random id itself: it tells people behind one fingerprint apart. */
  userHash: number;
}

const ID = /^[A-Za-z0-9_-]{16,64}$/;
const MINTED =
  /^([A-Za-z0-9_-]{16,64})(?:\.((?:[A-Za-z0-9_-]{8}){1,16})\.([A-Za-z0-9_-]{22}))?\.([A-Za-z0-9_-]{22})$/;
/** Rollouts that one id can be bound to. */
export const MOST_BOUND = 16;
const LONGEST_MINTED = 64 + 1 + MOST_BOUND * TAG_LENGTH + 1 + 22 + 1 + MAC_LENGTH;

/** A bounded memory of verified ids. A forged one costs a verification each time and pushes out nothing. */
export class MintedIds {
  readonly #keys: KeyRing;
  readonly #known: LRUCache<string, MintedId>;

  constructor(keys: KeyRing, max = 16_384) {
    this.#keys = keys;
    this.#known = new LRUCache({ max });
  }

  /**
   * The cookie's value for an id. `service` is '' where all services of the host may use it; `fingerprint` and
   * `rolloutTags` are '' between rollouts.
   */
  seal(service: string, id: string, rolloutTags: string, fingerprint: string): string {
    if (!ID.test(id)) throw new Error('A minted id has 16 to 64 letters, digits, "-" and "_".');
    const body = rolloutTags === '' ? id : `${id}.${rolloutTags}.${fingerprint}`;
    return `${body}.${this.#keys.sign('identity', signedText(service, body))}`;
  }

  /** Null where the value is not one that this service may use. */
  open(service: string, value: string): MintedId | null {
    if (value.length > LONGEST_MINTED) return null;
    const known = this.#known.get(value);
    if (known !== undefined && (known.service === '' || known.service === service)) return known;
    const parts = MINTED.exec(value);
    if (parts === null) return null;
    const [, id = '', rolloutTags = '', fingerprint = '', signature = ''] = parts;
    const body = value.slice(0, -(MAC_LENGTH + 1));
    const owner = this.#ownerOf(service, body, signature);
    if (owner === null) return null;
    const minted: MintedId = {
      service: owner,
      id: standaloneText(id),
      rolloutTags: standaloneText(rolloutTags),
      fingerprint: standaloneText(fingerprint),
      hashSalt: '',
      hashed: '',
      hash: 0,
      userHash: 0,
    };
    this.#known.set(standaloneText(value), minted);
    return minted;
  }

  /** '' for all services of the host, `service` for it alone, null where nobody of this key ring signed it. */
  #ownerOf(service: string, body: string, signature: string): string | null {
    if (this.#keys.verify('identity', signedText('', body), signature)) return '';
    return this.#keys.verify('identity', signedText(service, body), signature) ? service : null;
  }
}

/** Whether the value looks like a minted id, whoever signed it. */
export function isMintedForm(value: string): boolean {
  return value.length <= LONGEST_MINTED && MINTED.test(value);
}

/** What stands for the user of an id in the rollout of this tag: the fingerprint where it is bound to it, the id otherwise. */
export function identityOf({ id, rolloutTags, fingerprint }: MintedId, rolloutTag: string): string {
  if (rolloutTags === '' || rolloutTag === '') return id;
  for (let at = 0; at < rolloutTags.length; at += TAG_LENGTH) {
    if (rolloutTags.startsWith(rolloutTag, at)) return fingerprint;
  }
  return id;
}

function signedText(service: string, body: string): string {
  return `${service}\x1f${body}`;
}

/** How much of a header goes into a fingerprint; it bounds the work that a hostile head can ask for. */
const LONGEST_PART = 1024;

/**
 * The fingerprint of a request: a keyed hash of client address (IPv6: its /64, since clients change the rest), user
 * agent and accept-language; 22 characters. The same request gives the same one on every replica.
 */
export function fingerprint(facts: RequestFacts, keys: KeyRing, keyId: string): string {
  const userAgent = (facts.header('user-agent') ?? '').slice(0, LONGEST_PART);
  const language = (facts.header('accept-language') ?? '').slice(0, LONGEST_PART);
  return keys.fingerprint(keyId, `${site(facts.client)}\x1f${userAgent}\x1f${language}`);
}

function site(client: ClientAddress): string {
  return client.family === 6 ? `${client.w0.toString(16)}:${client.w1.toString(16)}/64` : client.text;
}
