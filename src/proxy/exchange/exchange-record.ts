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
import type { WorkerContext } from '../worker-context.ts';

export class ExchangeRecord {
  /** Clock value (ms). */
  startedAt = 0;
  /** Why the request failed, for the log; '' while all is well. */
  errorType = '';
  readonly #context: WorkerContext;
  readonly #request: RequestContext;
  /** This request goes to the access log. */
  #logged = false;

  constructor(context: WorkerContext, request: RequestContext) {
    this.#context = context;
    this.#request = request;
  }

  begin(): void {
    const { accessLog } = this.#context;
    this.startedAt = this.#context.monotonicNow();
    this.errorType = '';
    this.#logged = accessLog !== null && accessLog.wanted();
  }

  /**
   * The request ended at `now`. `endpoint`: who was asked last, or ''. `size`: bytes of content of the answer, as far as the client was
   * sent it.
   */
  end(endpoint: string, status: number, size: number, now: number): void {
    const context = this.#context;
    const { route, decision } = this.#request;
    context.counters.requestEnded();
    const durationSeconds = (now - this.startedAt) / 1000;
    route?.counters.request(variantIndex(decision.variant), status, durationSeconds);
    if (!this.#logged) return;
    const ended = {
      now: context.wallNow(),
      durationSeconds,
      status,
      size,
      endpoint,
      errorType: this.errorType,
    };
    context.accessLog?.record(accessRecord(this.#request, ended));
  }
}

export function variantIndex(variant: Variant): VariantIndex {
  return variant === 'canary' ? 1 : 0;
}
