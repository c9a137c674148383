/** Warns of rules that anybody could meet by a forged header: their networks hold a trusted proxy. */
import { networksOverlap } from '../ip/overlap.ts';
import { list } from '../policy/conditions/texts.ts';
import { networksKey } from '../policy/network-lists.ts';
import type { NetworkSetData } from '../ip/network.ts';
import type { RolloutDocument } from '../policy/schema.ts';

/** One sentence for each rule whose networks overlap with the trusted proxies'. */
export function overlapWarnings(
  document: RolloutDocument,
  trustedProxies: NetworkSetData | undefined,
  networks: ReadonlyMap<string, NetworkSetData>,
): string[] {
  if (trustedProxies === undefined || trustedProxies.size === 0) return [];
  return [...document.rules, ...(document.exclude ?? [])].flatMap(({ name, match }) => {
    if (match?.cidr === undefined) return [];
    const data = networks.get(networksKey(list(match.cidr)));
    if (data === undefined || !networksOverlap(trustedProxies, data)) return [];
    return [
      `rule "${name}": its networks overlap with trustedProxies, whose X-Forwarded-For can claim any address; narrow one of them`,
    ];
  });
}
