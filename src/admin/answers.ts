/**
 * What answers look like, as schemas: the OpenAPI document shows them, and tests hold real answers to them.
 *
 * Answers are open: a later version may add fields, and whoever reads them must not mind.
 */
import { STATUS_CLASSES } from '../comparison/totals.ts';
import { Type, type TObject } from 'typebox';
import { ServiceDefinition } from '../config/service.ts';
import { REASONS, TIERS } from '../policy/rollout.ts';
import { RolloutDocument } from '../policy/schema.ts';
import { CHANGE_STATUSES } from '../contract/change-status.ts';
import { STORE_CONDITIONS } from '../telemetry/store-counters.ts';
import { STANDINGS } from '../upstream/standing.ts';

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const oneOf = (values: readonly string[], description?: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    description === undefined ? {} : { description },
  );
const open = (properties: Parameters<typeof Type.Object>[0], description: string) =>
  Type.Object(properties, { description });
/** A schema for input, with what answers have beside it. */
const withStatus = (schema: TObject, status: TObject, description: string) =>
  Type.Object({ ...schema.properties, status }, { description });

const Phase = oneOf(['idle', 'running', 'paused', 'promoted', 'rolledBack']);
const Variant = oneOf(['stable', 'canary']);
const Time = Type.String({ description: 'RFC 3339, such as 2026-01-31T12:00:00.000Z' });
const Revision = Type.Integer({ minimum: 0 });

const Decrease = open(
  {
    kind: oneOf(['percentageLowered', 'ruleRemoved', 'conditionsChanged', 'excludeAdded', 'excludeChanged']),
    rule: Type.String(),
    from: nullable(Type.Number()),
    to: nullable(Type.Number()),
    detail: Type.String(),
  },
  'A part of a change that can take the canary from users',
);

const Difference = open(
  {
    op: oneOf(['add', 'remove', 'replace']),
    pointer: Type.String({ description: 'RFC 6901; into the former document where something was removed' }),
    name: Type.Optional(Type.String({ description: 'of the rule that it is inside of' })),
    from: Type.Optional(Type.Unknown()),
    to: Type.Optional(Type.Unknown()),
  },
  'One value that differs',
);

const ChangeAnswer = open(
  {
    id: Type.String(),
    service: Type.String(),
    kind: Type.String({ description: 'rollout.percentage, service.put, …' }),
    status: oneOf(CHANGE_STATUSES),
    progress: Type.String({ description: 'for people' }),
    statusUrl: Type.String({ description: 'absolute; poll it until the status is final' }),
    cancelUrl: Type.String({ description: 'absolute; harmless once the change is written' }),
    revision: nullable(Revision),
    createdAt: nullable(Time),
    updatedAt: nullable(Time),
    actor: nullable(Type.String()),
    reason: nullable(Type.String()),
    requestId: nullable(Type.String()),
    degraded: Type.Boolean({ description: 'in force, but the store does not have it yet' }),
    percentage: nullable(
      open(
        { rule: Type.String(), from: Type.Number(), to: Type.Number() },
        'What a percentage or step moved',
      ),
    ),
    decreaseCount: Type.Integer({ minimum: 0 }),
    decreases: Type.Array(Decrease, { description: 'the first hundred' }),
    warnings: Type.Array(Type.String()),
  },
  'An accepted write, and how far it has got',
);

const ServiceStatus = open(
  {
    name: Type.String(),
    source: oneOf(['file', 'api'], 'file: the API only reads it'),
    revision: Revision,
    rollout: nullable(
      open({ phase: Phase, epoch: Type.Integer(), rolloutId: Type.String(), startedAt: Time }, 'The rollout'),
    ),
  },
  'What the service does; ignored in a PUT',
);
const ServiceAnswer = withStatus(ServiceDefinition, ServiceStatus, 'A service');

const ServicesAnswer = open(
  { services: Type.Array(Type.Intersect([ServiceAnswer, Type.Object({ name: Type.String() })])) },
  'All services',
);

const RolloutAnswer = withStatus(
  RolloutDocument,
  open(
    {
      service: Type.String(),
      phase: Phase,
      epoch: Type.Integer({ minimum: 1 }),
      revision: Revision,
      rolloutId: Type.String(),
      step: Type.Integer({ minimum: -1, description: 'index of the last step taken; -1 before the first' }),
      startedAt: Time,
    },
    'How the rollout stands; ignored in a PUT',
  ),
  'A rollout',
);

const DryRunAnswer = open(
  {
    diff: Type.Array(Difference),
    decreases: Type.Array(Decrease),
    warnings: Type.Array(Type.String()),
    refusal: nullable(open({ code: Type.String(), detail: Type.String() }, 'Why the write would be refused')),
  },
  'What a write would do',
);

const HistoryAnswer = open(
  {
    history: Type.Array(
      open(
        {
          revision: Revision,
          kind: Type.String(),
          at: Time,
          actor: Type.String(),
          reason: nullable(Type.String()),
          requestId: nullable(Type.String()),
          changeId: Type.String(),
          diff: nullable(Type.Array(Difference)),
        },
        'One write; `diff` is null where the one before is not kept any more',
      ),
    ),
    next: nullable(Revision),
  },
  'Writes, the newest first',
);

const Condition = open(
  {
    kind: Type.String(),
    name: Type.String(),
    expected: Type.String(),
    seen: nullable(Type.String()),
    holds: Type.Boolean(),
  },
  'One condition, and what the request has',
);
const exclude = {
  name: Type.String(),
  conditions: Type.Array(Condition),
  matches: Type.Boolean(),
  latched: Type.Boolean(),
};

const ExplainAnswer = open(
  {
    service: Type.String(),
    phase: Phase,
    decision: open(
      {
        variant: Variant,
        reason: oneOf(REASONS),
        rule: nullable(Type.String()),
        bucket: nullable(Type.Integer()),
        identityTier: oneOf(TIERS),
        epoch: Type.Integer(),
        revision: Revision,
        assigned: Variant,
        fallback: Type.Boolean(),
        unavailable: Type.Boolean(),
      },
      'The decision',
    ),
    ambiguousPath: Type.Boolean(),
    identity: Type.Object({}),
    latch: Type.Object({}),
    override: oneOf(['none', 'always', 'never', 'invalid']),
    exclude: Type.Array(open(exclude, 'An exclude rule')),
    rules: Type.Array(
      open(
        { ...exclude, percentage: Type.Number(), threshold: Type.Number(), admitsBucket: Type.Boolean() },
        'A rule',
      ),
    ),
    omitted: Type.Optional(
      Type.Integer({ minimum: 1, description: 'rules that are left out, where the policy has thousands' }),
    ),
  },
  'What a request gets, and why',
);

const ReplicaAnswer = open(
  {
    name: Type.String(),
    boot: Type.String({ description: 'new with each start of the process' }),
    version: Type.String(),
    address: Type.String({ description: 'where the other replicas reach it' }),
    startedAt: Time,
    state: oneOf(['live', 'unreachable']),
    leader: Type.Boolean(),
    revision: Type.Integer({ minimum: -1, description: 'the lowest of its workers' }),
    workers: Type.Array(
      open(
        { index: Type.Integer({ minimum: 0 }), revision: Type.Integer({ minimum: -1 }) },
        'A worker; -1 while it starts',
      ),
    ),
    rolledBack: Type.Array(Type.String(), {
      description: 'rollouts that it treats as rolled back although the store does not know it yet',
    }),
    faults: Type.Array(
      open(
        { service: Type.String(), revision: Revision, detail: Type.String() },
        'A service whose document it can not read; it serves it by the former one',
      ),
    ),
    fenced: Type.Boolean({ description: 'it has lost the store for too long and gives stable to everybody' }),
    ageMs: Type.Integer({ minimum: 0, description: 'since it was last heard of' }),
  },
  'A replica',
);

const FleetAnswer = open(
  {
    revision: Revision,
    store: open(
      {
        condition: oneOf(STORE_CONDITIONS),
        trouble: nullable(Type.String({ description: 'what was wrong last' })),
      },
      'How the store is doing',
    ),
    disagreements: Type.Array(Type.String(), {
      description: 'what replicas do not have alike; while there is any, percentages can not be raised',
    }),
    replicas: Type.Array(ReplicaAnswer),
  },
  'Replicas and workers',
);

const EndpointsAnswer = open(
  {
    endpoints: Type.Array(
      open(
        {
          service: Type.String(),
          variant: Variant,
          address: Type.String(),
          source: Type.String({
            description: 'listed, or the source that it was discovered from',
          }),
          weight: Type.Number({ exclusiveMinimum: 0 }),
          standing: oneOf(STANDINGS),
          load: open(
            {
              inFlight: Type.Integer(),
              connections: Type.Integer(),
              latencyMs: nullable(Type.Number()),
              downOnWorkers: Type.Integer(),
              ejectedOnWorkers: Type.Integer(),
              ejectedForMs: Type.Integer(),
            },
            'What the workers know of it',
          ),
          health: nullable(
            open(
              {
                state: oneOf(['unknown', 'healthy', 'unhealthy']),
                checkedAt: nullable(Type.String()),
                failure: nullable(Type.String()),
              },
              'What health checks say of it',
            ),
          ),
        },
        'An endpoint',
      ),
    ),
  },
  'All endpoints',
);

const Ratio = nullable(Type.Number({ minimum: 0, maximum: 1 }));
const PercentileAnswer = open(
  {
    ms: nullable(Type.Number({ description: 'interpolated; null above the last bucket' })),
    from: Type.Number(),
    to: nullable(Type.Number()),
  },
  "A percentile, and the histogram's bucket that it lies in: it is as exact as that is wide",
);
const VariantComparison = open(
  {
    requests: Type.Integer(),
    requestsPerSecond: Type.Number(),
    share: Ratio,
    statusClasses: open(
      Object.fromEntries(STATUS_CLASSES.map((name) => [name, Type.Integer()])),
      'Answers by status class',
    ),
    errorRatio: Ratio,
    transportFailures: Type.Integer({
      description: 'attempts at endpoints that brought no answer, retried ones included',
    }),
    fallbacks: Type.Integer({ description: 'requests assigned to this variant that the other one served' }),
    latency: nullable(
      open(
        { p50: PercentileAnswer, p95: PercentileAnswer, p99: PercentileAnswer },
        'From the complete request head to the end of the answer',
      ),
    ),
  },
  'What one variant answered',
);
const ComparisonAnswer = open(
  {
    service: Type.String(),
    windowSeconds: Type.Number(),
    coveredSeconds: Type.Integer({ description: 'what of the window this replica has watched' }),
    stable: VariantComparison,
    canary: VariantComparison,
    replicas: Type.Array(
      open({ name: Type.String(), reportedSecondsAgo: Type.Integer() }, 'A replica that it is about'),
    ),
    missing: Type.Array(Type.String(), {
      description: 'replicas whose newest numbers are not in it: they have stopped, or are out of reach',
    }),
    note: Type.String(),
  },
  'Stable and canary side by side',
);

/** By the names that the OpenAPI document gives them. */
export const ANSWERS = {
  Change: ChangeAnswer,
  Services: ServicesAnswer,
  Service: ServiceAnswer,
  Rollout: RolloutAnswer,
  DryRun: DryRunAnswer,
  History: HistoryAnswer,
  Explanation: ExplainAnswer,
  Fleet: FleetAnswer,
  Endpoints: EndpointsAnswer,
  Comparison: ComparisonAnswer,
} as const;
