/**
 * What the checks of one endpoint come to: unknown, healthy or unhealthy.
 *
 * The first result decides at once; after that it takes several alike to change the verdict, so that one lost answer does
 * not take an endpoint out. Source: Envoy's health checking (thresholds, and the first result).
 */
import type { HealthCheckSettings } from '../contract/upstream-settings.ts';
import type { Health } from '../upstream/endpoint.ts';

export class HealthRecord {
  verdict: Health = 'unknown';
  #inRow = 0;

  /** Takes note of a result; true where the verdict changed. */
  result(good: boolean, { healthyThreshold, unhealthyThreshold }: HealthCheckSettings): boolean {
    const says = good ? 'healthy' : 'unhealthy';
    if (this.verdict === says) {
      this.#inRow = 0;
      return false;
    }
    this.#inRow += 1;
    const needed = this.verdict === 'unknown' ? 1 : good ? healthyThreshold : unhealthyThreshold;
    if (this.#inRow < needed) return false;
    this.verdict = says;
    this.#inRow = 0;
    return true;
  }
}
