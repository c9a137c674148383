/**
 * Finds the user of a request along the service's identity chain, and mints an id where the chain asks for one.
 *
 * What it finds it writes into the trace; the only other effect is the cookie line that it returns.
 */
import { identityHash } from '../bucket.ts';
import type { CompiledPolicy } from '../compile.ts';
import type { RequestFacts } from '../facts.ts';
import { findMinted } from './find-minted.ts';
import { fingerprint, identityOf, type MintedId } from './identity-chain.ts';
import { trace } from '../trace.ts';

/**
 * Walks the chain to the first tier that speaks. Returns the `Set-Cookie` line of a newly minted id, or ''.
 *
 * `rolloutTag` is '' between rollouts, when an id is minted for the next one only. In a rollout the new id carries the
 * fingerprint that this request is decided by; where the chain has none, the new id itself stands for the user at once.
 * Of an application's cookie that comes several times the last counts that says something: it is the one of the shortest path, which
 * other paths of the host have as well.
 * An id is minted only where no later tier but the fingerprint speaks: otherwise the next request would find another
 * user than this one did. `random` is called only to mint.
 */
export function findIdentity(
  policy: CompiledPolicy,
  facts: RequestFacts,
  rolloutTag: string,
  mayMint: boolean,
  random: () => string,
): string {
  const { chain, context } = policy;
  let minting = -1;
  for (let index = 0; index < chain.length; index++) {
    const tier = chain[index]!;
    if (tier.kind === 'fingerprint') {
      trace.tier = index;
      if (rolloutTag !== '') trace.identity = fingerprint(facts, context.keys, policy.fingerprintKey);
      break;
    }
    if (tier.kind === 'minted') {
      const minted = findMinted(policy, facts, tier.name);
      if (minted !== null) {
        trace.tier = index;
        trace.minted = minted;
        trace.identity = identityOf(minted, rolloutTag);
        return tier.mints && mayMint ? widened(policy, minted, tier.name, facts.secure) : '';
      }
      if (tier.mints && minting < 0) minting = index;
      continue;
    }
    const value = tier.kind === 'header' ? facts.header(tier.name) : lastCookie(facts, tier.name);
    // An empty value is nobody's: it would lump all who send it together.
    if (value === undefined || value === '') continue;
    trace.tier = index;
    trace.identity = value;
    return '';
  }
  return minting < 0 || !mayMint ? '' : mint(policy, facts, rolloutTag, minting, random());
}

function lastCookie(facts: RequestFacts, name: string): string | undefined {
  const first = facts.cookie(name);
  if (first === undefined) return undefined;
  const others = facts.otherCookies(name);
  for (let index = others.length - 1; index >= 0; index--) {
    if (others[index] !== '') return others[index];
  }
  return first;
}

function mint(
  policy: CompiledPolicy,
  facts: RequestFacts,
  rolloutTag: string,
  tier: number,
  id: string,
): string {
  const { context, service, cookies, chain, bound } = policy;
  const decided = rolloutTag !== '' && trace.tier >= 0;
  const print =
    bound.tags === ''
      ? ''
      : decided
        ? trace.identity
        : fingerprint(facts, context.keys, bound.fingerprintKey);
  const { name } = chain[tier]!;
  if (trace.tier < 0) {
    trace.tier = tier;
    trace.identity = id;
  }
  if (!trace.strangeId || policy.atRoot)
    return cookies.set(name, context.mintedIds.seal('', id, bound.tags, print), facts.secure);
  // Another proxy, with keys of its own, has its id on this host: the two would take turns in replacing each other's.
  return cookies.setForService(name, context.mintedIds.seal(service, id, bound.tags, print), facts.secure);
}

/**
 * An id that is the service's alone, where the service has the whole host: it may be a cookie of some paths only, those that the service
 * had before. So it becomes one of all paths, and the user stays the same.
 */
function widened(policy: CompiledPolicy, minted: MintedId, name: string, secure: boolean): string {
  if (minted.service === '' || !policy.atRoot) return '';
  const { id, rolloutTags, fingerprint } = minted;
  return policy.cookies.set(name, policy.context.mintedIds.seal('', id, rolloutTags, fingerprint), secure);
}

/**
 * The identity, where somebody gave it to the user: in a header, or in the application's cookie. A minted id and a fingerprint are
 * random to everybody.
 */
export function givenIdentity({ chain }: CompiledPolicy): string | undefined {
  if (trace.tier < 0) return undefined;
  const { kind } = chain[trace.tier]!;
  return kind === 'header' || kind === 'cookie' ? trace.identity : undefined;
}

/** The hash that the user's bucket comes from. Only in a rollout, and where a tier spoke. */
export function hashOfIdentity(policy: CompiledPolicy): number {
  if (trace.hash >= 0) return trace.hash;
  const { minted, identity } = trace;
  if (minted === null) return (trace.hash = policy.context.hashes.of(policy.salt, identity));
  if (minted.hashSalt !== policy.salt || minted.hashed !== identity) {
    minted.hash = identityHash(policy.salt, identity);
    minted.userHash = identity === minted.id ? minted.hash : identityHash(policy.salt, minted.id);
    minted.hashSalt = policy.salt;
    minted.hashed = identity;
  }
  return (trace.hash = minted.hash);
}

/** The hash that tells the user from others: of a minted id the random part, which no two people share. */
export function hashOfUser(policy: CompiledPolicy): number {
  const hash = hashOfIdentity(policy);
  return trace.minted === null ? hash : trace.minted.userHash;
}

/** The hash of another user that the request stands for as well, by an id that does not count; 0 where there is none. */
export function hashOfOther(policy: CompiledPolicy): number {
  return trace.otherId === null ? 0 : identityHash(policy.salt, trace.otherId.id);
}
