/**
 * Finds the user of a request along the service's identity chain, and mints an id where the chain asks for one.
 *
 * What it finds it writes into the trace; the only other effect is the cookie line that it returns.
 */
import { identityHash } from './bucket.ts';
import type { CompiledPolicy } from './compile.ts';
import type { RequestFacts } from './facts.ts';
import { fingerprint } from './identity.ts';
import { trace } from './trace.ts';

/**
 * Walks the chain to the first tier that speaks. Returns the `Set-Cookie` line of a newly minted id, or ''.
 *
 * `rolloutTag` is '' between rollouts, when an id is minted for the next one only. In a rollout the new id carries the
 * fingerprint that this request is decided by; where the chain has none, the new id itself stands for the user at once.
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
  const { chain, context, service } = policy;
  let minting = -1;
  for (let index = 0; index < chain.length; index++) {
    const tier = chain[index]!;
    if (tier.kind === 'fingerprint') {
      trace.tier = index;
      if (rolloutTag !== '') trace.identity = fingerprint(facts, context.keys, policy.fingerprintKey);
      break;
    }
    const value = tier.kind === 'header' ? facts.header(tier.name) : facts.cookie(tier.name);
    // An empty value is nobody's: it would lump all who send it together.
    if (value === undefined || value === '') {
      if (tier.mints && minting < 0) minting = index;
      continue;
    }
    if (tier.kind !== 'minted') {
      trace.tier = index;
      trace.identity = value;
      return '';
    }
    const minted = context.mintedIds.open(service, value);
    if (minted !== null) {
      trace.tier = index;
      trace.minted = minted;
      trace.identity = rolloutTag !== '' && minted.rolloutTag === rolloutTag ? minted.fingerprint : minted.id;
      return '';
    }
    trace.forgedId = true;
    if (tier.mints && minting < 0) minting = index;
  }
  return minting < 0 || !mayMint ? '' : mint(policy, facts, rolloutTag, minting, random());
}

function mint(
  policy: CompiledPolicy,
  facts: RequestFacts,
  rolloutTag: string,
  tier: number,
  id: string,
): string {
  const { context, service, cookies, chain } = policy;
  const bound = rolloutTag !== '' && trace.tier >= 0;
  const value = context.mintedIds.seal(service, id, bound ? rolloutTag : '', bound ? trace.identity : '');
  if (trace.tier < 0) {
    trace.tier = tier;
    trace.identity = id;
  }
  return cookies.set(chain[tier]!.name, value, facts.secure);
}

/** The hash that the user's bucket comes from. Only in a rollout, and where a tier spoke. */
export function hashOfIdentity(policy: CompiledPolicy): number {
  if (trace.hash >= 0) return trace.hash;
  const { minted, identity } = trace;
  if (minted === null) return (trace.hash = policy.context.hashes.of(policy.salt, identity));
  if (minted.hashSalt !== policy.salt) {
    minted.hash = identityHash(policy.salt, identity);
    minted.userHash = identity === minted.id ? minted.hash : identityHash(policy.salt, minted.id);
    minted.hashSalt = policy.salt;
  }
  return (trace.hash = minted.hash);
}

/** The hash that tells the user from others: of a minted id the random part, which no two people share. */
export function hashOfUser(policy: CompiledPolicy): number {
  const hash = hashOfIdentity(policy);
  return trace.minted === null ? hash : trace.minted.userHash;
}
