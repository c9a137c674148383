/**
 * What becomes known of a request for counters and the access log: when it began, what went wrong, how it ended.
 *
 * One record belongs to an exchange and is used again for each of its requests. It never holds anything back: what is counted or
 * logged is so when `end` returns.
 */
import type { Variant } from '../../policy/rollout.ts';
import type { VariantIndex } from '../../telemetry/counters.ts';
import { accessRecord } from './access-record.ts';
import type { RequestContext } from './request-context.ts';
import type { ServiceRoute } from '../routing.ts';
import type { WorkerContext } from '../worker-context.ts';

export class ExchangeRecord {
  /** Clock value (ms). */
  startedAt = 0;
  /** Why the request failed, for the log; '' while all is well. */
  errorType = '';
  readonly #context: WorkerContext;
  readonly #view: RequestContext;
  /** This request goes to the access log. */
  #logged = false;

  constructor(context: WorkerContext, view: RequestContext) {
    this.#context = context;
    this.#view = view;
  }

  begin(): void {
    const { accessLog } = this.#context;
    this.startedAt = this.#context.now();
    this.errorType = '';
    this.#logged = accessLog !== null && accessLog.wanted();
  }

  /** The request ended at `now`. `route`: the service that it was for; `endpoint`: who was asked last, or ''. */
  end(route: ServiceRoute | null, endpoint: string, status: number, now: number): void {
    const context = this.#context;
    const view = this.#view;
    context.counters.requestEnded();
    const durationSeconds = (now - this.startedAt) / 1000;
    route?.counters.request(variantIndex(view.variant), status, durationSeconds);
    if (!this.#logged) return;
    const ended = {
      now: context.wallMilliseconds(),
      durationSeconds,
      status,
      endpoint,
      errorType: this.errorType,
    };
    context.accessLog?.record(accessRecord(view, route, ended));
  }
}

export function variantIndex(variant: Variant): VariantIndex {
  return variant === 'canary' ? 1 : 0;
}
