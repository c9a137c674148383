/**
 * Which minted id counts where a browser sends several under one name: the same one on every path of its host.
 *
 * Browsers send all cookies whose path fits, in an order that depends on the path, so the order must not matter. An id of all services
 * of the host is on every path (`Path=/`). One of a service alone is on that service's paths, where its prefix has not changed; such ids are
 * minted beside an id of another key ring, and were all that earlier versions made.
 */
import type { CompiledPolicy } from '../compile.ts';
import type { RequestFacts } from '../facts.ts';
import { isMintedForm, type MintedId } from './identity-chain.ts';
import { trace } from '../trace.ts';

/** Values of one name that are looked at: each that is not known costs a signature or two. */
const MOST_LOOKED_AT = 16;

/**
 * The id that counts, or null. Notes in the trace whether there are ids that are not genuine, whether one of them looks like that of
 * another key ring, and the genuine one that does not count.
 */
export function findMinted(policy: CompiledPolicy, facts: RequestFacts, name: string): MintedId | null {
  const first = facts.cookie(name);
  if (first === undefined) return null;
  let best = look(policy, first);
  const others = facts.otherCookies(name);
  // Longer paths come first: what is on every path of the host is at the end.
  for (let index = others.length - 1; index >= Math.max(0, others.length - MOST_LOOKED_AT); index--) {
    const other = look(policy, others[index]!);
    if (other === null || other === best) continue;
    const better = best === null || countsBefore(policy, other, best);
    if (best !== null && best.id !== other.id) trace.otherId = better ? best : other;
    if (better) best = other;
  }
  return best;
}

function look({ context, service }: CompiledPolicy, value: string): MintedId | null {
  // An empty value is nobody's, and nobody forged it.
  if (value === '') return null;
  const minted = context.mintedIds.open(service, value);
  if (minted !== null) return minted;
  trace.forgedId = true;
  trace.strangeId ||= isMintedForm(value);
  return null;
}

function countsBefore({ atRoot }: CompiledPolicy, one: MintedId, other: MintedId): boolean {
  // A service that has the whole host can have an id of its own only on the paths that it had before.
  if (one.service !== other.service) return atRoot === (one.service === '');
  if (one.id !== other.id) return one.id < other.id;
  return one.rolloutTags + one.fingerprint < other.rolloutTags + other.fingerprint;
}
