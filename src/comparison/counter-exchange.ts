/**
 * Tells the other replicas what this one has counted, hears what they have, and answers comparisons.
 *
 * It works every few seconds; a comparison asks nobody. Where the others are out of reach it is about this replica, and says so.
 */
import { compare, type ComparisonView } from './comparison.ts';
import type { ReplicaReport, ServiceTotals } from './totals.ts';
import { createTrafficWindow, type HeardReport } from './traffic-window.ts';
import { detached, every, guarded } from '../runtime/guard.ts';

const EVERY = 5000;

export interface CounterExchangeOptions {
  /** Of this process, new with each start. */
  readonly boot: string;
  readonly name: string;
  /** What this replica has counted, by service. */
  readonly totals: () => ReadonlyMap<string, ServiceTotals>;
  /** Gives its report to the others, and gives all of theirs; null for a replica that is alone. May reject. */
  readonly exchange: ((report: ReplicaReport) => Promise<readonly HeardReport[]>) | null;
  /** Monotonic, in ms. */
  readonly monotonicNow: () => number;
}

export interface CounterExchange {
  /** Stable and canary over the last `window` ms, up to now as far as this replica itself is concerned. */
  comparison(service: string, window: number): ComparisonView;
  /** Exchanges once. It is called by a timer too. */
  exchange(): Promise<void>;
  close(): void;
}

/** Begins at once. */
export function createCounterExchange(options: CounterExchangeOptions): CounterExchange {
  const { boot, name, totals, monotonicNow } = options;
  const startedAt = monotonicNow();
  const window = createTrafficWindow(startedAt);

  function hearSelf(): ReplicaReport {
    const report = { boot, name, uptime: monotonicNow() - startedAt, services: Object.fromEntries(totals()) };
    window.hear([{ report, age: 0 }], monotonicNow());
    return report;
  }

  async function exchange(): Promise<void> {
    const own = hearSelf();
    if (options.exchange === null) return;
    try {
      const reports = await options.exchange(own);
      window.hear(
        reports.filter(({ report }) => report.boot !== boot),
        monotonicNow(),
      );
    } catch {
      // The store says in its own metrics and log lines that it can't be used; the others show as missing here.
    }
  }

  const timer = every(
    EVERY,
    guarded('telling counters', () => detached('telling counters', exchange())),
  ).unref();
  detached('telling counters', exchange());

  return {
    exchange,
    comparison(service, length) {
      hearSelf();
      return compare(
        service,
        length,
        window.sum(service, length, monotonicNow()),
        window.replicas(length, monotonicNow()),
      );
    },
    close: () => clearInterval(timer),
  };
}
