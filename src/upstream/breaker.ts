/**
 * The failure-ratio breaker of a canary: opens while too many of its attempts fail, then lets its users back by and by.
 *
 * closed → open → half-open → closed, or open again. It sees only totals that grow, four times a second, and says which share
 * of the canary's users may have it. In half-open that share grows, and users come in by their buckets from the
 * lowest, so the few who probe are the same from one request to the next, and from one recovery to the next.
 * Source of the states and of the ratio: oxy's cbreaker, which Traefik uses (`NetworkErrorRatio() > 0.5`); oxy probes by chance
 * and without a minimum of requests.
 */
import type { BreakerSettings } from '../contract/upstream-settings.ts';

export const BREAKER_STATES = ['closed', 'open', 'halfOpen'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

/** The share of users who probe first. It doubles six times until all are back. */
const FIRST_SHARE = 1 / 64;
/** Probes may be few: a quarter of the requests that a judgement takes otherwise. */
const PROBE_FACTOR = 0.25;

/** Attempts that ended and those among them that failed, since the beginning. */
export interface Totals {
  readonly attempts: number;
  readonly failures: number;
}

interface Mark extends Totals {
  readonly at: number;
}

export class Breaker {
  state: BreakerState = 'closed';
  /** Share of the canary's users who may have it: 1 closed, 0 open. */
  share = 1;
  /** How often it has opened. */
  opened = 0;
  /** Totals at moments of the window, oldest first; the oldest may lie just before it. */
  #marks: Mark[] = [];
  #since = 0;

  /** Takes the totals of this moment (ms on a clock that only goes forward). True where the state changed. */
  tick(now: number, totals: Totals, settings: BreakerSettings): boolean {
    const before = this.state;
    this.#marks.push({ at: now, ...totals });
    this.#forget(now - settings.window);
    switch (before) {
      case 'closed':
        if (this.#failing(settings.minRequests, settings)) this.#open(now);
        break;
      case 'open':
        if (now - this.#since >= settings.openTime) this.#halfOpen(now, totals);
        break;
      case 'halfOpen':
        if (this.#failing(Math.ceil(settings.minRequests * PROBE_FACTOR), settings)) this.#open(now);
        else if (now - this.#since >= settings.recoveryTime) this.#close(now, totals);
        else this.share = FIRST_SHARE ** (1 - (now - this.#since) / settings.recoveryTime);
        break;
    }
    return this.state !== before;
  }

  #failing(minimum: number, { failureRatio }: BreakerSettings): boolean {
    const first = this.#marks[0]!;
    const last = this.#marks.at(-1)!;
    const attempts = last.attempts - first.attempts;
    return attempts >= minimum && last.failures - first.failures > attempts * failureRatio;
  }

  /** The first mark is the newest that is not younger than `from`, so that the window is covered whole. */
  #forget(from: number): void {
    let keep = 0;
    while (keep + 1 < this.#marks.length && this.#marks[keep + 1]!.at <= from) keep += 1;
    if (keep > 0) this.#marks.splice(0, keep);
  }

  #open(now: number): void {
    this.state = 'open';
    this.share = 0;
    this.opened += 1;
    this.#since = now;
  }

  /** What ended before says nothing about now. */
  #halfOpen(now: number, totals: Totals): void {
    this.state = 'halfOpen';
    this.share = FIRST_SHARE;
    this.#since = now;
    this.#marks = [{ at: now, ...totals }];
  }

  #close(now: number, totals: Totals): void {
    this.state = 'closed';
    this.share = 1;
    this.#marks = [{ at: now, ...totals }];
  }
}
