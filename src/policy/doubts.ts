/**
 * Conditions that are right by their form and may well not do what their author thinks: each a sentence, for the answer to a write.
 *
 * A doubt refuses nothing. What can never hold for anybody is refused by `validate.ts`.
 */
import type { ServiceTraits } from './conditions/condition.ts';
import { doubtsOfMatch } from './conditions/match.ts';
import type { RolloutDocument } from './schema.ts';

/** One sentence for each doubt, the rule's name first. */
export function doubtsOf(document: RolloutDocument, service: ServiceTraits): string[] {
  return [...document.rules, ...(document.exclude ?? [])].flatMap(({ name, match }) =>
    match === undefined ? [] : doubtsOfMatch(match, service).map((doubt) => `rule "${name}": ${doubt}`),
  );
}
