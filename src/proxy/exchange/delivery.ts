/**
 * The delivery of one request: to which endpoints it goes, one after another, until one of them answers it or none is left.
 *
 * It keeps the attempts and the body that goes along, and says after each failure where the request stands. What follows a failure is
 * in `recovery.ts`.
 */
import type { UpstreamHandler } from '../../upstream/connection.ts';
import { isShortage } from '../../runtime/faults.ts';
import type { ServiceRoute } from '../routing.ts';
import type { WorkerContext } from '../worker-context.ts';
import { Attempts } from './attempts.ts';
import { breakerRefuses } from './breaker-gate.ts';
import { variantIndex } from './exchange-record.ts';
import { attempt, otherVariant, recoveryFrom, type Failure, type Standing } from './recovery.ts';
import type { RequestBody } from './request-body.ts';
import type { RequestContext } from './request-context.ts';

export class Delivery {
  readonly attempts: Attempts;
  /** Any byte of an answer came. */
  heard = false;
  readonly #context: WorkerContext;
  readonly #request: RequestContext;
  readonly #body: RequestBody;

  /** `handler` hears of the connections to endpoints. */
  constructor(context: WorkerContext, request: RequestContext, body: RequestBody, handler: UpstreamHandler) {
    this.attempts = new Attempts(handler, context);
    this.#context = context;
    this.#request = request;
    this.#body = body;
  }

  /** Before the next request. */
  reset(): void {
    this.heard = false;
    this.attempts.reset();
  }

  /** Bytes that wait for the endpoint to read them, or are kept for another one. */
  get heldBytes(): number {
    return (this.attempts.up?.writer.heldBytes ?? 0) + this.#body.replay.size;
  }

  /** Begins with a request that has been decided. */
  begin(route: ServiceRoute, now: number): Standing {
    const { decision } = this.#request;
    if (decision.fallback) this.attempts.fallBack(variantIndex(decision.assigned));
    const refused = decision.variant === 'canary' && breakerRefuses(route, decision, this.#context.random);
    return attempt(refused ? otherVariant(decision, route) : 'retry', this.attempts, decision, route, now);
  }

  /** No connection could be opened, for the reason `reason`, a code of the system or `timeout`. */
  notConnected(reason: string): Standing {
    const reached = this.attempts.up?.reached === true;
    const code = reason === 'timeout' ? 'connect_timeout' : reached ? 'tls_failed' : 'connect_failed';
    this.attempts.refused(code, reason);
    return this.#after(isShortage(reason) ? 'shortage' : 'not_connected');
  }

  /** The endpoint went away. `unprocessed`: it says that it did not process the request. */
  lost(code: 'upstream_reset' | 'tls_failed', unprocessed: boolean): Standing {
    this.attempts.broken(code, unprocessed);
    return this.#after(unprocessed ? 'unprocessed' : 'broken');
  }

  /** The endpoint does not begin to answer. */
  timedOut(): Standing {
    this.attempts.timedOut();
    return this.#after('broken');
  }

  #after(failure: Failure): Standing {
    const { head, side, decision } = this.#request;
    const route = this.#request.route!;
    const progress = {
      method: head.method,
      http2: side.downstream.http2,
      heard: this.heard,
      repeatable: this.#body.replay.complete,
    };
    const next = recoveryFrom(failure, progress, this.attempts, decision, route);
    return attempt(next, this.attempts, decision, route, this.#context.monotonicNow());
  }
}
