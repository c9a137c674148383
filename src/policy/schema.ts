/**
 * The rollout document: its JSON Schema, and the types that follow from it.
 *
 * The same schemas validate documents, generate OpenAPI and type the code. Field names are a contract. Those of conditions are
 * in `conditions/`.
 * What a schema cannot say (duplicate names, a segment that does not exist, a bad CIDR) is in `validate.ts`.
 */
import { Type, type Static } from 'typebox';
import { Match } from './conditions/match.ts';

const closed = { additionalProperties: false } as const;

export const Percentage = Type.Number({
  minimum: 0,
  maximum: 100,
  description: 'percent of users, 0 to 100',
});
const RuleName = Type.String({ minLength: 1, maxLength: 100 });

/** A rule: conditions (none: everyone) and the percentage of the users that meet them. */
export const Rule = Type.Object(
  { name: RuleName, match: Type.Optional(Match), percentage: Percentage },
  closed,
);
export type Rule = Static<typeof Rule>;

/** An exclude rule: who meets its conditions gets stable, whatever the other rules say. */
export const ExcludeRule = Type.Object({ name: RuleName, match: Match }, closed);
export type ExcludeRule = Static<typeof ExcludeRule>;

/** One step of the ramp. Without `bake` it waits for an approval. `rule` is `everyone` if unsaid. */
export const Step = Type.Object(
  {
    percentage: Percentage,
    rule: Type.Optional(RuleName),
    bake: Type.Optional(
      Type.String({ pattern: '^[0-9]+(ms|s|m|h|d)$', description: 'a duration such as 10m' }),
    ),
  },
  closed,
);
export type Step = Static<typeof Step>;

export const RolloutDocument = Type.Object(
  {
    rules: Type.Array(Rule, { minItems: 1, maxItems: 10_000 }),
    exclude: Type.Optional(Type.Array(ExcludeRule, { maxItems: 10_000 })),
    steps: Type.Optional(Type.Array(Step, { maxItems: 100 })),
    driver: Type.Optional(
      Type.Literal('external', { description: 'who advances the steps: a pipeline or a person' }),
    ),
    analysis: Type.Optional(
      Type.Object({}, { ...closed, description: 'settings of the analysis; none exist yet' }),
    ),
  },
  closed,
);
export type RolloutDocument = Static<typeof RolloutDocument>;
