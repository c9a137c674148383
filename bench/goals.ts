/** What Serin means to reach, and whether it does: read off the outcomes, nothing is measured here. */
import type { ContenderOutcome, Outcomes } from './outcome.ts';

export interface Goal {
  readonly what: string;
  /** Where it is read. */
  readonly scenario: string;
  readonly limit: number;
  /** Whether the figure may be at most the limit, or must be at least. */
  readonly direction: 'most' | 'least';
  readonly unit: string;
  /** Undefined where the outcomes do not have it. */
  figure(outcomes: Outcomes): number | undefined;
}

type Pick = (outcomes: Outcomes) => ContenderOutcome | undefined;

const of =
  (scenario: string, contender: string): Pick =>
  (outcomes) =>
    outcomes[scenario]?.contenders[contender];

function divided(over: number | undefined, under: number | undefined): number | undefined {
  return over === undefined || under === undefined ? undefined : over / under;
}

/** CPU per request of Serin to another's, in one scenario. The reference's ratio is the one taken round by round. */
function cpu(what: string, scenario: string, other: string, limit: number): Goal {
  return {
    what,
    scenario,
    limit,
    direction: 'most',
    unit: '×',
    figure: (outcomes) =>
      outcomes[scenario]?.reference === other
        ? of(scenario, 'serin')(outcomes)?.ratio.median
        : divided(of(scenario, 'serin')(outcomes)?.cpu, of(scenario, other)(outcomes)?.cpu),
  };
}

const THIRD = 1 / 3;

export const GOALS: readonly Goal[] = [
  cpu('CPU per request, 1 KB, to HAProxy', 'small', 'haproxy', 1),
  cpu('CPU per request, 1 KB, to nginx', 'small', 'nginx', 1),
  cpu('CPU per request, 1 KB, to HAProxy in TCP mode', 'small', 'haproxy-tcp', 1.3),
  cpu('CPU per request, 1 KB, to http-proxy-3', 'small', 'http-proxy-3', THIRD),
  cpu('CPU per request, 1 KB, to @fastify/http-proxy', 'small', 'fastify-http-proxy', THIRD),
  cpu('CPU per request, 1 KB, to Caddy', 'small', 'caddy', THIRD),
  cpu('CPU per request, 100 KB down, to HAProxy', 'down-100k', 'haproxy', 1),
  cpu('CPU per request, 1 MB down, to HAProxy', 'down-1m', 'haproxy', 1),
  cpu('CPU per request, 1 MB up, to HAProxy', 'up-1m', 'haproxy', 1),
  {
    what: 'added latency at half of saturation, p50, to HAProxy',
    scenario: 'small',
    limit: 1.1,
    direction: 'most',
    unit: '×',
    figure: (outcomes) => of('small', 'serin')(outcomes)?.latency?.addedP50Ratio.median,
  },
  {
    what: 'added latency at half of saturation, p99, to HAProxy',
    scenario: 'small',
    limit: 1.1,
    direction: 'most',
    unit: '×',
    figure: (outcomes) => of('small', 'serin')(outcomes)?.latency?.addedP99Ratio.median,
  },
  {
    what: '100,000 networks, 1,000 rules, 100 services, to one rule',
    scenario: 'large-policy',
    limit: 1.05,
    direction: 'most',
    unit: '×',
    figure: (outcomes) => of('large-policy', 'large')(outcomes)?.ratio.median,
  },
  {
    what: 'memory of each of 10,000 idle connections',
    scenario: 'idle-10000',
    limit: 6,
    direction: 'most',
    unit: ' KiB',
    figure: (outcomes) => divided(of('idle-10000', 'serin')(outcomes)?.idle?.bytesEach, 1024),
  },
  {
    what: 'two workers on two cores, to one (derived from CPU per request)',
    scenario: 'two-workers',
    limit: 1.9,
    direction: 'least',
    unit: '×',
    figure: (outcomes) => divided(2, of('two-workers', 'two')(outcomes)?.ratio.median),
  },
  {
    what: 'classification of a request never seen: CPU over a returning user’s',
    scenario: 'cold',
    limit: 25,
    direction: 'most',
    unit: ' µs',
    figure: (outcomes) => {
      const strange = of('cold', 'never-seen')(outcomes)?.cpu;
      const known = of('cold', 'seen')(outcomes)?.cpu;
      return strange === undefined || known === undefined ? undefined : strange - known;
    },
  },
];

/** Above this share of the proxy's core that something else used, a figure tells nothing. */
export const DISTURBED = 0.25;

/** Whether the figure reaches the goal; null where the scenario was too disturbed to tell. */
export function reached(goal: Goal, figure: number, outcomes: Outcomes): boolean | null {
  if ((outcomes[goal.scenario]?.disturbed ?? 0) > DISTURBED) return null;
  return goal.direction === 'most' ? figure <= goal.limit : figure >= goal.limit;
}
