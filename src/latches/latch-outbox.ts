/**
 * Latches on their way from a worker to the main thread, which passes them on to the other replicas.
 *
 * Promise: never a message for each request; what a few ms bring travels together. It is bounded: what doesn't fit is counted
 * as lost and not passed on, though the workers of this replica know of it.
 */
import type { Decision } from '../policy/decision.ts';
import type { LatchNote } from './latch-keeper.ts';

/** How long the first of a batch waits, in ms. */
const WAIT = 5;
/** Latches of one message. */
const AT_ONCE = 1024;
const LIMIT = 65_536;

/** The service that decided, and its rollout. */
interface DecidingService {
  readonly name: string;
  readonly policy: { readonly rolloutId: string };
}

export interface LatchOutbox {
  /** Takes what the decision says is to be remembered. */
  add(route: DecidingService, decision: Decision): void;
  /** Sends all that waits, now. */
  flush(): void;
}

export function createLatchOutbox(
  send: (batch: readonly LatchNote[]) => void,
  later: (send: () => void, ms: number) => void,
  lost: (latches: number) => void,
): LatchOutbox {
  let waiting: LatchNote[] = [];
  let due = false;

  function sendSome(): void {
    due = false;
    const batch = waiting.length > AT_ONCE ? waiting.slice(0, AT_ONCE) : waiting;
    waiting = waiting.length > AT_ONCE ? waiting.slice(AT_ONCE) : [];
    if (batch.length > 0) send(batch);
    if (waiting.length > 0) schedule();
  }

  function schedule(): void {
    if (due) return;
    due = true;
    later(sendSome, WAIT);
  }

  return {
    add({ name, policy }, { identityHash, remember }) {
      if (waiting.length >= LIMIT) lost(1);
      else {
        waiting.push({ service: name, rolloutId: policy.rolloutId, identityHash, value: remember });
        schedule();
      }
    },
    flush() {
      for (let from = 0; from < waiting.length; from += AT_ONCE) send(waiting.slice(from, from + AT_ONCE));
      waiting = [];
    },
  };
}
