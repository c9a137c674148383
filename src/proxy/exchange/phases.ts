/**
 * The phases of a request, in the order in which they come: what may follow each, and whose time runs out in it.
 *
 * The table is the whole truth: an exchange that would take another way has a mistake, and says so instead of going on.
 */

/**
 * idle        no request: before the first, and after each
 * deciding    the head was read; no endpoint was asked
 * connecting  an endpoint was picked; nothing was sent
 * waiting     the request is being sent or was sent; the client has no final answer
 * answering   the client has the head of the answer
 * draining    the client has all of its answer; what is left of its request's body is read, so that the connection can serve on
 * tunnel      after an upgrade: bytes pass unread both ways
 */
export type RequestPhase =
  | 'idle'
  | 'deciding'
  | 'connecting'
  | 'waiting'
  | 'answering'
  | 'draining'
  | 'tunnel';

/**
 * Whose time a phase's deadline bounds, by which settings of the service.
 *
 * endpoint   to accept a connection: `connectTimeout`
 * answer     the endpoint's, to begin its answer (`responseHeadTimeout`), or the client's, to go on with its body
 *            (`requestBodyIdleTimeout`, `clientRate`)
 * client     to read its answer (`responseIdleTimeout`, `clientRate`), or to go on with its body
 * drain      of the rest of a body: constants in `body-drain.ts`
 * tunnel     of a tunnel in which nothing moves: `tunnelIdleTimeout`
 */
export type DeadlineOf = 'endpoint' | 'answer' | 'client' | 'drain' | 'tunnel';

interface PhaseRow {
  /** What may come next. */
  readonly next: readonly RequestPhase[];
  /** Null: nothing is waited for. */
  readonly deadline: DeadlineOf | null;
}

export const PHASES: Readonly<Record<RequestPhase, PhaseRow>> = {
  idle: { next: ['deciding'], deadline: null },
  // An idle connection takes the request at once; an answer of our own ends it.
  deciding: { next: ['connecting', 'waiting', 'draining', 'idle'], deadline: null },
  // The next endpoint may be connected already, or not.
  connecting: { next: ['connecting', 'waiting', 'draining', 'idle'], deadline: 'endpoint' },
  // Before an answer has begun the request may be sent again.
  waiting: { next: ['connecting', 'waiting', 'answering', 'tunnel', 'draining', 'idle'], deadline: 'answer' },
  answering: { next: ['draining', 'idle'], deadline: 'client' },
  draining: { next: ['idle'], deadline: 'drain' },
  tunnel: { next: ['idle'], deadline: 'tunnel' },
};

/** `to`, which comes after `from`. Throws where it may not: that is a mistake of the program. */
export function nextPhase(from: RequestPhase, to: RequestPhase): RequestPhase {
  if (!PHASES[from].next.includes(to)) throw new Error(`a request may not go from ${from} to ${to}`);
  return to;
}
