/**
 * How every request of the chaos run ended, as its client saw it, and whose fault each failure was.
 */
import { value } from '../../test/support/strict-head.ts';
import type { Deliveries } from './deliveries.ts';
import type { Connection, Outcome } from './client.ts';
import type { Incident } from './endpoints.ts';

/** What a client asked. */
export interface Asked {
  readonly id: string;
  readonly method: string;
  /** What sort of request it was, for the table. */
  readonly kind: string;
  /** Bytes of the request's body. */
  readonly size: number;
  readonly from: number;
}

interface Failure extends Asked {
  readonly to: number;
  readonly how: string;
  /** The status of an answer, 0 where none came. */
  readonly status: number;
  /** `name:pid` of the endpoint whose answer broke off, or ''. */
  readonly endpoint: string;
}

/** Methods that may be delivered twice. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);
/** What the proxy says where it has sent nothing to any endpoint. */
const NOTHING_SENT = new Set([
  'connect_failed',
  'connect_timeout',
  'no_endpoint',
  'circuit_limit',
  'overloaded',
]);

/** A process that is killed ends its connections by a FIN, and where that is the only end of an answer, nobody can tell. */
const UNTOLD =
  'the endpoint was killed in an answer without length and chunks: a close is all that could tell its end';
const BEHIND = 'pipelined behind an answer that was cut: not answered, the client may ask again';

export class Tally {
  readonly kinds = new Map<string, { requests: number; good: number }>();
  /** Answers with each status, as the clients counted them. */
  readonly statuses = new Map<number, number>();
  readonly failures: Failure[] = [];
  /** Answers that belong to another request or are damaged, in words. */
  readonly wrong: string[] = [];
  requests = 0;
  left = 0;

  begin(asked: Asked): void {
    this.requests += 1;
    const kind = this.kinds.get(asked.kind) ?? { requests: 0, good: 0 };
    kind.requests += 1;
    this.kinds.set(asked.kind, kind);
  }

  /** `right`: the answer is the one to this request. */
  end(asked: Asked, outcome: Outcome, connection: Connection | null, right: boolean): void {
    const to = performance.now();
    const { message } = outcome;
    const endpoint = message === null ? '' : (value(message, 'x-name') ?? '');
    if (connection?.wrong === true) this.wrong.push(`${asked.kind} ${asked.id}: bytes of another body`);
    if (outcome.kind === 'failed') {
      if (outcome.how === 'left') {
        this.left += 1;
        return;
      }
      if (outcome.how === 'malformed')
        this.wrong.push(`${asked.kind} ${asked.id}: ${connection?.fault ?? 'malformed'}`);
      const how = message === null ? outcome.how : `answer cut: ${outcome.how}`;
      this.failures.push({ ...asked, to, how, status: message?.status ?? 0, endpoint });
      return;
    }
    const { status } = outcome.message;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (status === 200 || status === 101) {
      if (right) this.good(asked);
      else if (outcome.message.framing === 'close' && connection?.wrong === false)
        // The bytes are the right ones, and not all of them.
        this.failures.push({ ...asked, to, how: UNTOLD, status, endpoint });
      else
        this.wrong.push(
          `${asked.kind} ${asked.id}: the answer of ${value(outcome.message, 'x-id') ?? 'nobody'}`,
        );
      return;
    }
    const code = /"code":"(\w+)"/.exec(outcome.message.body.toString('latin1'))?.[1] ?? String(status);
    this.failures.push({ ...asked, to, how: code, status, endpoint });
  }

  /** A pipelined request behind an answer that was cut: nobody can answer it any more. */
  behind(asked: Asked): void {
    this.failures.push({ ...asked, to: performance.now(), how: BEHIND, status: 0, endpoint: '' });
  }

  good(asked: Asked): void {
    const kind = this.kinds.get(asked.kind);
    if (kind !== undefined) kind.good += 1;
  }

  /** A tunnel that broke after it had been opened. */
  broke(asked: Asked, how: string, endpoint: string): void {
    this.failures.push({
      ...asked,
      to: performance.now(),
      how: `answer cut: tunnel ${how}`,
      status: 101,
      endpoint,
    });
  }
}

export interface Verdict {
  /** Failures that must not be, in words. */
  readonly violations: string[];
  /** Those that may be, counted by what explains them. */
  readonly explained: ReadonlyMap<string, number>;
}

/**
 * Sorts the failures. `replayLimit`: request bodies up to this many bytes are kept for a repetition. `patience`: how long after an
 * incident its effects may show, in ms.
 */
export function judge(
  failures: readonly Failure[],
  incidents: readonly Incident[],
  deliveries: Deliveries,
  replayLimit: number,
  patience: number,
): Verdict {
  const violations: string[] = [];
  const explained = new Map<string, number>();
  for (const failure of failures) {
    const { kind, id, method, how, status, size } = failure;
    const cut = how.startsWith('answer cut');
    const causes = incidents.filter(
      ({ from, to, endpoint, pid }) =>
        from <= failure.to &&
        to + patience >= failure.from &&
        (failure.endpoint === '' || failure.endpoint === `${endpoint}:${pid}`),
    );
    // Some are hung first and killed then.
    const cause = causes.find(({ what }) => what === 'killed') ?? causes[0];
    const words = `${kind} ${method} ${id} of ${size} bytes: ${how} (${status}) after ${(failure.to - failure.from).toFixed(0)} ms${failure.endpoint === '' ? '' : ` from ${failure.endpoint}`}`;
    if (NOTHING_SENT.has(how)) violations.push(`nothing was sent, and yet: ${words}`);
    else if (cause === undefined) violations.push(`nothing happened to an endpoint, and yet: ${words}`);
    else if (cut)
      count(
        explained,
        `the answer had begun when its endpoint was ${cause.what}: cut, and the client could tell`,
      );
    else if (how === UNTOLD) count(explained, UNTOLD);
    else if (how === BEHIND) count(explained, BEHIND);
    else if (status === 0) violations.push(`no answer at all: ${words}`);
    else if (IDEMPOTENT.has(method) && size <= replayLimit)
      violations.push(`could have been repeated: ${words}`);
    else if (method !== 'POST')
      count(explained, `${method} with a body beyond what is kept for a repetition: ${status} ${how}`);
    else {
      const seen = deliveries.times.has(id) ? 'was at work on it' : 'had not read it yet';
      count(explained, `POST sent to an endpoint that was killed or hung, and ${seen}: ${status} ${how}`);
    }
  }
  return { violations, explained };
}

function count(map: Map<string, number>, what: string): void {
  map.set(what, (map.get(what) ?? 0) + 1);
}
