/**
 * The rollout document: its JSON Schema, and the types that follow from it.
 *
 * The same schemas validate documents, generate OpenAPI and type the code. Field names are a contract.
 * What a schema cannot say (duplicate names, a segment that does not exist, a bad CIDR) is in `validate.ts`.
 */
import { Type, type Static } from 'typebox';

const closed = { additionalProperties: false } as const;

const oneOrMany = (description: string) =>
  Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
    description,
  });

/** A test on one header, cookie or query parameter; exactly one of the fields is given. */
export const ValueTest = Type.Object(
  {
    present: Type.Optional(Type.Boolean({ description: 'true: it is there, false: it is absent' })),
    equals: Type.Optional(Type.String()),
    oneOf: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    prefix: Type.Optional(Type.String({ minLength: 1 })),
    semver: Type.Optional(Type.String({ minLength: 1, description: 'a semver range such as ">=8.2.0"' })),
  },
  { ...closed, minProperties: 1, maxProperties: 1 },
);
export type ValueTest = Static<typeof ValueTest>;

/** A test on the normalised path; exactly one of the fields is given. `prefix` is segment-bounded. */
export const PathTest = Type.Object(
  {
    equals: Type.Optional(Type.String({ pattern: '^/' })),
    oneOf: Type.Optional(Type.Array(Type.String({ pattern: '^/' }), { minItems: 1 })),
    prefix: Type.Optional(Type.String({ pattern: '^/' })),
  },
  { ...closed, minProperties: 1, maxProperties: 1 },
);
export type PathTest = Static<typeof PathTest>;

const DeviceType = Type.Union([
  Type.Literal('mobile'),
  Type.Literal('tablet'),
  Type.Literal('desktop'),
  Type.Literal('bot'),
]);

export const DeviceMatch = Type.Object(
  {
    type: Type.Optional(Type.Union([DeviceType, Type.Array(DeviceType, { minItems: 1 })])),
    os: Type.Optional(
      Type.Union([
        oneOrMany('operating system, case-insensitive: ios, android, windows, macos, linux, …'),
        Type.Object(
          {
            name: Type.String({ minLength: 1 }),
            version: Type.String({ minLength: 1, description: 'a semver range such as ">=17" or "<14.2"' }),
          },
          closed,
        ),
      ]),
    ),
    model: Type.Optional(oneOrMany('device model, case-insensitive: iPhone, iPad, Pixel 8, …')),
    browser: Type.Optional(oneOrMany('browser name, case-insensitive: chrome, safari, firefox, edge, …')),
  },
  { ...closed, minProperties: 1 },
);
export type DeviceMatch = Static<typeof DeviceMatch>;

export const RegionMatch = Type.Object(
  {
    country: Type.Optional(oneOrMany('ISO 3166-1 alpha-2 code, such as CN')),
    subdivision: Type.Optional(oneOrMany('ISO 3166-2 code without the country, such as SH')),
    city: Type.Optional(oneOrMany('English city name, such as Shanghai')),
  },
  { ...closed, minProperties: 1 },
);
export type RegionMatch = Static<typeof RegionMatch>;

const fieldTests = (description: string) =>
  Type.Record(Type.String({ minLength: 1 }), ValueTest, {
    minProperties: 1,
    maxProperties: 100,
    description,
  });

/** Conditions; all that are given must hold. */
export const Match = Type.Object(
  {
    segment: Type.Optional(oneOrMany('names of network segments of the configuration; any of them may hold')),
    cidr: Type.Optional(oneOrMany('networks, such as 10.8.0.0/16 or 2001:db8::/32; any of them may hold')),
    device: Type.Optional(DeviceMatch),
    region: Type.Optional(RegionMatch),
    header: Type.Optional(fieldTests('tests on header fields, by name')),
    cookie: Type.Optional(fieldTests('tests on cookies, by name')),
    query: Type.Optional(fieldTests('tests on query parameters, by name')),
    method: Type.Optional(oneOrMany('request methods, upper case')),
    path: Type.Optional(PathTest),
  },
  { ...closed, minProperties: 1 },
);
export type Match = Static<typeof Match>;

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
