/**
 * What all replicas did lately, in slices of ten seconds, from the totals that they tell.
 *
 * Only what is new since a replica's last report counts, so a replica that stops keeps its past, and one that starts again
 * begins with nothing. What happened before this replica watched is not known; it says how much of a window it covers.
 */
import { noTotals, type ReplicaReport, type ServiceTotals, TOTALS } from './totals.ts';

const SLICE = 10_000;
/** The longest window, in ms. */
export const LONGEST_WINDOW = 3_600_000;
const SLICES = LONGEST_WINDOW / SLICE;

export interface HeardReport {
  readonly report: ReplicaReport;
  /** How long ago it was made, in ms. */
  readonly age: number;
}

export interface ReplicaHeard {
  readonly name: string;
  /** Of its newest report, in ms. */
  readonly age: number;
}

export interface TrafficWindow {
  hear(reports: readonly HeardReport[], now: number): void;
  /** Stable's and canary's sums, and how much of the window they are about, in ms: at most `window`. */
  sum(service: string, window: number, now: number): { totals: ServiceTotals; covered: number };
  /** Every replica that told something within the window. */
  replicas(window: number, now: number): ReplicaHeard[];
}

interface Slice {
  readonly number: number;
  readonly sums: readonly [Float64Array, Float64Array];
}

interface Known {
  readonly name: string;
  readonly services: ReplicaReport['services'];
  madeAt: number;
}

/** `now` everywhere: a monotonic clock, in ms. */
export function createTrafficWindow(beganAt: number): TrafficWindow {
  const services = new Map<string, (Slice | undefined)[]>();
  const boots = new Map<string, Known>();

  function add(service: string, number: number, now: ServiceTotals, before: ServiceTotals | null): void {
    const news = now.map((totals, variant) =>
      // A number that fell was counted anew.
      totals.map((value, place) => {
        const former = before?.[variant]?.[place] ?? 0;
        return value >= former ? value - former : value;
      }),
    );
    if (news.every((totals) => totals.every((value) => value === 0))) return;
    let slices = services.get(service);
    if (slices === undefined) services.set(service, (slices = Array.from({ length: SLICES })));
    let slice = slices[number % SLICES];
    if (slice?.number !== number) {
      slice = { number, sums: [new Float64Array(TOTALS), new Float64Array(TOTALS)] };
      slices[number % SLICES] = slice;
    }
    for (const [variant, sums] of slice.sums.entries())
      for (let place = 0; place < TOTALS; place++) sums[place]! += news[variant]![place]!;
  }

  return {
    hear(reports, now) {
      const number = Math.floor(now / SLICE);
      for (const { report, age } of reports) {
        const madeAt = now - age;
        const known = boots.get(report.boot);
        if (known !== undefined && known.madeAt >= madeAt) continue;
        // Of a replica that ran before this one watched, it is not known when its first numbers were counted.
        const isNew = known === undefined && madeAt - report.uptime >= beganAt - SLICE;
        for (const [service, totals] of Object.entries(report.services)) {
          const before = known?.services[service] ?? null;
          if (known !== undefined || isNew) add(service, number, totals, before);
        }
        boots.set(report.boot, { name: report.name, services: report.services, madeAt });
      }
      for (const [boot, { madeAt }] of boots) if (now - madeAt > LONGEST_WINDOW) boots.delete(boot);
      for (const [service, slices] of services)
        if (slices.every((slice) => slice === undefined || slice.number <= number - SLICES))
          services.delete(service);
    },

    sum(service, window, now) {
      const last = Math.floor(now / SLICE);
      const first = last - Math.ceil(window / SLICE) + 1;
      const totals = [noTotals(), noTotals()] as const;
      for (const slice of services.get(service) ?? []) {
        if (slice === undefined || slice.number < first || slice.number > last) continue;
        for (const [variant, sums] of slice.sums.entries())
          for (let place = 0; place < TOTALS; place++) totals[variant]![place]! += sums[place]!;
      }
      return { totals, covered: Math.min(now - Math.max(first * SLICE, beganAt), window) };
    },

    replicas(window, now) {
      const newest = new Map<string, number>();
      for (const { name, madeAt } of boots.values())
        newest.set(name, Math.max(newest.get(name) ?? -Infinity, madeAt));
      return Array.from(newest, ([name, madeAt]) => ({ name, age: now - madeAt }))
        .filter(({ age }) => age <= Math.max(window, 2 * SLICE))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}
