/**
 * The headers that a service's policy reads: whoever can make an endpoint see another value of one of them than the policy saw is
 * two users at once.
 */
import type { PolicySource } from './compile.ts';
import { headersOfMatch } from './conditions/match.ts';

/** Of every service: device conditions, the fingerprint, and preflights. */
const ALWAYS = ['user-agent', 'accept-language', 'origin', 'access-control-request-method'];

/** Lower-case names, some perhaps more than once. */
export function headersRead({ identity, rollout }: Pick<PolicySource, 'identity' | 'rollout'>): string[] {
  const names = [...ALWAYS];
  for (const tier of identity) if ('header' in tier) names.push(tier.header.toLowerCase());
  const { rules = [], exclude = [] } = rollout?.document ?? {};
  for (const { match } of [...rules, ...(exclude ?? [])]) names.push(...headersOfMatch(match));
  return names;
}
