/**
 * The retry budget of one variant in one worker: retries are a share of the requests, so that an outage is not multiplied.
 *
 * Promise: whenever a retry is taken, those of the last ten seconds (to a quarter of one) are at most `share` of the requests of
 * the same time, and `minPerSecond` for each second. Counting a request costs one addition. Source: Finagle's RetryBudget
 * (a minimum a second, a share, a window of ten seconds).
 */
import type { RetryBudgetSettings } from '../contract/upstream-settings.ts';

/** The window in ms, in as many slots. */
const WINDOW = 10_000;
const SLOTS = 40;
const BUDGET_TICK = WINDOW / SLOTS;

export class RetryBudget {
  /** Requests since the last tick; the caller counts them. */
  requests = 0;
  readonly #requests = new Float64Array(SLOTS);
  readonly #retries = new Float64Array(SLOTS);
  #requestSum = 0;
  #retrySum = 0;
  #slot = 0;
  #slotEnd = Number.NEGATIVE_INFINITY;

  /** Takes one retry from the budget; false where there is none. */
  take({ share, minPerSecond }: RetryBudgetSettings): boolean {
    const allowed = share * (this.#requestSum + this.requests) + (minPerSecond * WINDOW) / 1000;
    if (this.#retrySum + 1 > allowed) return false;
    this.#retries[this.#slot]! += 1;
    this.#retrySum += 1;
    return true;
  }

  /** Gives back one that was taken and not made. */
  putBack(): void {
    this.#retries[this.#slot]! -= 1;
    this.#retrySum -= 1;
  }

  /** To be called a few times a second: forgets what is older than the window. */
  tick(now: number): void {
    if (this.#slotEnd === Number.NEGATIVE_INFINITY) this.#slotEnd = now + BUDGET_TICK;
    if (now < this.#slotEnd) return;
    this.#requests[this.#slot]! += this.requests;
    this.#requestSum += this.requests;
    this.requests = 0;
    const passed = Math.floor((now - this.#slotEnd) / BUDGET_TICK) + 1;
    for (let n = 0; n < Math.min(passed, SLOTS); n += 1) {
      this.#slot = (this.#slot + 1) % SLOTS;
      this.#requestSum -= this.#requests[this.#slot]!;
      this.#retrySum -= this.#retries[this.#slot]!;
      this.#requests[this.#slot] = 0;
      this.#retries[this.#slot] = 0;
    }
    this.#slotEnd += passed * BUDGET_TICK;
  }
}
