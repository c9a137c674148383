/**
 * Which rollout of each service the workers decide by, while a newer one waits for the moment at which all replicas begin.
 *
 * Rollouts of a service take effect in the order of their revisions. Definitions never wait. It has no timers: whoever
 * holds it calls `advance` when `next` is due.
 */
import type { ServiceView } from './service-view.ts';

type Views = ReadonlyMap<string, ServiceView>;

interface Waiting {
  /** The service as it will be; only its rollout and revision count. */
  readonly view: ServiceView;
  /** On the clock of `now`. */
  readonly at: number;
}

export interface Activation {
  /** Takes what is written now. The rollouts of the services in `delays` wait until their time, the others count at once. */
  takeViews(written: Views, delays: ReadonlyMap<string, number>, now: number): void;
  /** Lets what is due take effect; true when something did. */
  advance(now: number): boolean;
  /** When the next one is due; null while nothing waits. */
  next(): number | null;
  /** What the workers are to decide by. */
  readonly views: Views;
  /** Every revision up to this one is in effect; `newest` is the last that is written. */
  revision(newest: number): number;
}

export function createActivation(): Activation {
  let written: Views = new Map();
  let effective: Views = new Map();
  let waiting: readonly Waiting[] = [];

  /** The services as written, those that wait with the rollout that they have had so far. */
  function settle(former: Views): void {
    const held = new Set(waiting.map(({ view }) => view.name));
    effective = new Map(
      [...written].map(([name, view]) => {
        const before = held.has(name) ? former.get(name) : undefined;
        return [
          name,
          before === undefined ? view : { ...view, rollout: before.rollout, revision: before.revision },
        ];
      }),
    );
  }

  return {
    get views() {
      return effective;
    },

    takeViews(next, delays, now) {
      written = next;
      // What waited and was not the last word on its service goes on waiting only if its successor waits too.
      const kept = waiting.filter(({ view: { name, revision } }) => {
        const newest = next.get(name);
        return (
          newest !== undefined && (newest.revision === revision || (delays.get(name) ?? -Infinity) > now)
        );
      });
      const added: Waiting[] = [];
      for (const [name, at] of delays) {
        const view = next.get(name);
        const last = kept.findLast((one) => one.view.name === name);
        if (view === undefined || at <= now || last?.view.revision === view.revision) continue;
        added.push({ view, at: Math.max(at, last?.at ?? -Infinity) });
      }
      waiting = [...kept, ...added];
      settle(effective);
    },

    advance(now) {
      const due = waiting.filter(({ at }) => at <= now);
      if (due.length === 0) return false;
      waiting = waiting.filter(({ at }) => at > now);
      const former = new Map(effective);
      for (const { view } of due) former.set(view.name, view);
      settle(former);
      return true;
    },

    next: () => (waiting.length === 0 ? null : Math.min(...waiting.map(({ at }) => at))),

    revision: (newest) => Math.min(newest, ...waiting.map(({ view }) => view.revision - 1)),
  };
}
