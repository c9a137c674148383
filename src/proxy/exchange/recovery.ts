/**
 * What follows a failed attempt, as long as the client has nothing of an answer: another attempt, the other variant, or an answer.
 *
 * Promise: a request is delivered twice only if nobody can have processed it before, or its method is idempotent and no byte of an
 * answer came; and never without all that was taken of its body.
 */
import { IDEMPOTENT } from '../../http1/methods.ts';
import type { Decision } from '../../policy/decision.ts';
import type { ServiceRoute } from '../routing.ts';
import type { Attempts } from './attempts.ts';
import { mayFallBack } from './decide-request.ts';
import { variantIndex } from './exchange-record.ts';

/**
 * How an attempt failed:
 *
 * not_connected  an endpoint gave no connection: nothing was sent
 * shortage       this process lacks what a connection takes, and lacks it for every endpoint
 * unprocessed    the endpoint has the request, and says that it did not process it
 * broken         the endpoint went away, or says nothing in time: it may have processed the request
 */
export type Failure = 'not_connected' | 'shortage' | 'unprocessed' | 'broken';

/**
 * What comes next:
 *
 * retry     at another endpoint of the same variant, by its budget
 * fallback  at the other variant
 * refuse    the client is told that nobody processed its request, which HTTP/2 has a word for: it may send it again
 * answer    with the error of the last attempt
 */
export type Recovery = 'retry' | 'fallback' | 'refuse' | 'answer';

/** How far a request has come when its attempt fails. */
export interface Progress {
  readonly method: string;
  readonly http2: boolean;
  /** Any byte of an answer came. */
  readonly heard: boolean;
  /** All that was taken of its body can be sent once more. */
  readonly repeatable: boolean;
}

/** What follows `failure` of an attempt of a request that has come so far. A retry is taken from its variant's budget. */
export function recoveryFrom(
  failure: Failure,
  progress: Progress,
  attempts: Pick<Attempts, 'mayRetry'>,
  decision: Decision,
  route: ServiceRoute,
): Recovery {
  if (!mayGoOn(failure, progress)) return failure === 'unprocessed' && progress.http2 ? 'refuse' : 'answer';
  if (attempts.mayRetry(route.settings.maxRetries)) return 'retry';
  // What may be sent again may as well be sent to the other variant.
  return otherVariant(decision, route);
}

/** Whether the request may be delivered to another endpoint. */
function mayGoOn(failure: Failure, { method, heard, repeatable }: Progress): boolean {
  switch (failure) {
    case 'not_connected':
      return true;
    case 'shortage':
      return false;
    case 'unprocessed':
      return !heard && repeatable;
    case 'broken':
      return !heard && repeatable && IDEMPOTENT.has(method);
  }
}

/** What follows where none of the variant's endpoints may be asked, or not any more, or a limit is reached. */
export function otherVariant(decision: Decision, route: ServiceRoute): 'fallback' | 'answer' {
  return mayFallBack(route, decision) ? 'fallback' : 'answer';
}

/**
 * Where a request stands. `ready`: an open connection may take it. `connecting`: one is being opened. `refuse` and `answer`: no endpoint
 * is asked any more.
 */
export type Standing = 'ready' | 'connecting' | 'refuse' | 'answer';

/** Attempts one endpoint after the other, from `first` on, until an attempt is under way or nothing is left but an answer. */
export function attempt(
  first: Recovery,
  attempts: Pick<Attempts, 'next' | 'fallBack'>,
  decision: Decision,
  route: ServiceRoute,
  now: number,
): Standing {
  for (let move = first; ; move = otherVariant(decision, route)) {
    if (move === 'answer' || move === 'refuse') return move;
    if (move === 'fallback') {
      attempts.fallBack(variantIndex(decision.variant));
      decision.variant = decision.variant === 'canary' ? 'stable' : 'canary';
      decision.fallback = true;
    }
    const start = attempts.next(route, variantIndex(decision.variant), now);
    if (start !== 'none') return start;
  }
}
