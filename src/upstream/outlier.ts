/**
 * Outlier ejection: an endpoint that keeps failing is left out for a while, judged by the requests of users alone.
 *
 * One record per endpoint and worker. It judges, it does not act: who holds all endpoints of a variant decides whether
 * there is room for another ejection. Counting a success costs two stores. Source of the algorithm: Envoy's outlier detection
 * (consecutive errors, success rate in an interval, ejection time times the number of ejections in a row).
 */
import type { OutlierSettings } from '../contract/upstream-settings.ts';

export class OutlierRecord {
  /** Clock value (ms) until which the endpoint is ejected; 0: it is not. */
  ejectedUntil = 0;
  /** Ejections in a row: the next lasts one unit longer. */
  ejections = 0;
  #failuresInRow = 0;
  #successes = 0;
  #failures = 0;
  #windowEnd = 0;

  get ejected(): boolean {
    return this.ejectedUntil > 0;
  }

  success(): void {
    this.#failuresInRow = 0;
    this.#successes += 1;
  }

  /** True where the endpoint should be ejected for this failure. */
  failure({ consecutiveFailures }: OutlierSettings): boolean {
    this.#failuresInRow += 1;
    this.#failures += 1;
    return !this.ejected && consecutiveFailures > 0 && this.#failuresInRow >= consecutiveFailures;
  }

  eject(now: number, { ejectionTime, maxEjectionTime }: OutlierSettings): void {
    this.ejections += 1;
    this.ejectedUntil = now + Math.min(ejectionTime * this.ejections, maxEjectionTime);
    this.#forget();
  }

  /**
   * To be called a few times a second. `returned`: its ejection is over. `outlier`: the window that just ended says that it
   * should be ejected. A window that ends without a failure takes one from the ejections in a row.
   */
  tick(now: number, settings: OutlierSettings): 'same' | 'returned' | 'outlier' {
    if (this.ejected) {
      if (now < this.ejectedUntil) return 'same';
      this.ejectedUntil = 0;
      this.#windowEnd = now + settings.window;
      this.#forget();
      return 'returned';
    }
    if (now < this.#windowEnd) return 'same';
    const failures = this.#failures;
    const all = failures + this.#successes;
    const first = this.#windowEnd === 0;
    this.#windowEnd = now + settings.window;
    this.#failures = 0;
    this.#successes = 0;
    // What came before the first window is no window.
    if (first) return 'same';
    if (failures === 0) this.ejections = Math.max(0, this.ejections - 1);
    return all >= settings.minRequests && failures > all * settings.failureRatio ? 'outlier' : 'same';
  }

  #forget(): void {
    this.#failuresInRow = 0;
    this.#successes = 0;
    this.#failures = 0;
  }
}

/** How many of `count` endpoints may be ejected at a time: a share of them, and always one, unless the share is 0. */
export function ejectionRoom(count: number, { maxEjected }: OutlierSettings): number {
  return maxEjected === 0 ? 0 : Math.max(1, Math.floor(count * maxEjected));
}
