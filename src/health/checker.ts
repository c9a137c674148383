/**
 * Active health checks: asks every endpoint whose variant wants it, again and again, and keeps the verdicts.
 *
 * Promises: at most one check of an endpoint at a time and MOST_AT_ONCE in all, each in its turn; checks of many endpoints are spread over the
 * interval by chance, so that they never come in step; an endpoint that is no longer named is forgotten, and a result that
 * comes late for it changes nothing. It sends nothing itself: a probe is passed in.
 */
import type { EndpointAddress } from '../contract/endpoint-address.ts';
import type { Health } from '../upstream/endpoint.ts';
import type { HealthCheckSettings } from '../contract/upstream-settings.ts';
import type { TlsOptions } from '../upstream/tls-transport.ts';
import { HealthRecord } from './health-record.ts';
import { isShortage } from '../runtime/faults.ts';
import { detached } from '../runtime/guard.ts';

/** An endpoint to be checked. `key` is its own for as long as it is named. */
export interface CheckTarget {
  readonly key: string;
  readonly service: string;
  readonly variant: 'stable' | 'canary';
  readonly address: EndpointAddress;
  readonly settings: HealthCheckSettings;
  /** Null: unencrypted. */
  readonly tls: TlsOptions | null;
}

/** Asks once; '' for a good answer, else what was wrong, in a few words. Never rejects. */
export type Probe = (target: CheckTarget) => Promise<string>;

export interface HealthView {
  readonly verdict: Health;
  /** When the last check ended, in ms since 1970; null before the first. */
  readonly checkedAt: number | null;
  /** What was wrong with the last check; '' for nothing. */
  readonly failure: string;
}

export interface CheckerOptions {
  readonly probe: Probe;
  /** An awake clock, in ms, and how long it has slept so far. */
  readonly monotonicNow: () => number;
  readonly slept: () => number;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  onVerdict(target: CheckTarget, view: HealthView): void;
  onResult(target: CheckTarget, good: boolean): void;
}

export interface Checker {
  /** The endpoints to be checked from now on. */
  targets(targets: readonly CheckTarget[]): void;
  /** Begins the checks that are due. Call it a few times a second. */
  tick(): void;
  /** What is known of an endpoint, or null where it is not checked. */
  view(key: string): HealthView | null;
}

const MOST_AT_ONCE = 128;
/** Intervals are up to this share shorter or longer. */
const JITTER = 0.1;
/** First checks are spread over the interval, but over no longer than this, in ms. */
const FIRST_WITHIN = 1000;

interface Entry {
  target: CheckTarget;
  readonly record: HealthRecord;
  dueAt: number;
  running: boolean;
  checkedAt: number | null;
  failure: string;
}

export function createChecker(options: CheckerOptions): Checker {
  const { probe, monotonicNow, slept, wallNow, random } = options;
  let entries = new Map<string, Entry>();
  let inTurn: readonly Entry[] = [];
  let turn = 0;
  let running = 0;

  const hasSlept = (before: number): boolean => {
    // Only when it is read does the clock notice.
    monotonicNow();
    return slept() > before;
  };

  async function check(entry: Entry): Promise<void> {
    const { target } = entry;
    entry.running = true;
    running += 1;
    const begun = monotonicNow();
    const sleptBefore = slept();
    let failure = '';
    try {
      failure = await probe(target);
    } finally {
      running -= 1;
      entry.running = false;
    }
    // It was not listening while it slept: what failed then says nothing of the endpoint, which is asked again at once.
    if (failure !== '' && hasSlept(sleptBefore)) return;
    entry.dueAt = begun + target.settings.interval * (1 - JITTER + 2 * JITTER * random());
    if (entries.get(target.key) !== entry || isShortage(failure)) return;
    entry.checkedAt = wallNow();
    entry.failure = failure;
    options.onResult(target, failure === '');
    if (entry.record.result(failure === '', entry.target.settings)) options.onVerdict(target, viewOf(entry));
  }

  return {
    targets(targets) {
      const next = new Map<string, Entry>();
      for (const target of targets) {
        const entry = entries.get(target.key);
        if (entry === undefined) {
          next.set(target.key, {
            target,
            record: new HealthRecord(),
            dueAt: monotonicNow() + random() * Math.min(target.settings.interval, FIRST_WITHIN),
            running: false,
            checkedAt: null,
            failure: '',
          });
        } else {
          entry.target = target;
          // Longer or shorter intervals count from now on.
          entry.dueAt = Math.min(entry.dueAt, monotonicNow() + target.settings.interval);
          next.set(target.key, entry);
        }
      }
      entries = next;
      inTurn = [...next.values()];
    },
    tick() {
      const at = monotonicNow();
      // It goes on where it stopped, so that those at the end are not left out when there is more to do than can be done.
      for (let seen = 0; seen < inTurn.length && running < MOST_AT_ONCE; seen += 1) {
        turn = (turn + 1) % inTurn.length;
        const entry = inTurn[turn]!;
        if (!entry.running && entry.dueAt <= at) detached('a health check', check(entry));
      }
    },
    view(key) {
      const entry = entries.get(key);
      return entry === undefined ? null : viewOf(entry);
    },
  };
}

function viewOf({ record, checkedAt, failure }: Entry): HealthView {
  return { verdict: record.verdict, checkedAt, failure };
}
