/**
 * How long after the store's return all workers of the replicas that lived through it decide by a policy that was written after
 * it. Seen in their decisions, not in what they say of themselves.
 */
import type { Accepted } from './writer.ts';
import type { Decided, Replica } from './replicas.ts';

export interface Convergence {
  /** The store is back, at `at` ms since 1970. */
  back(at: number, what: string): void;
  accepted(accepted: Accepted): void;
  see(decided: Decided): void;
  readonly times: { readonly what: string; readonly milliseconds: number }[];
  /** Returns that could not be measured since a replica was killed, or since the next incident came first. */
  readonly void: number;
  /** The next incident begins, or the run ends. Gives what was still to converge after `limit` ms. */
  close(at: number, limit: number): void;
  readonly overdue: string[];
}

interface Open {
  readonly at: number;
  readonly what: string;
  revision: number | null;
  /** `name/worker` of those that still have to show. */
  readonly left: Map<string, { readonly replica: Replica; readonly life: number }>;
  last: number;
}

export function createConvergence(replicas: readonly Replica[], workers: number): Convergence {
  let open: Open | null = null;
  const times: { what: string; milliseconds: number }[] = [];
  const overdue: string[] = [];
  let voided = 0;
  return {
    times,
    overdue,
    get void() {
      return voided;
    },
    back(at, what) {
      const left: Open['left'] = new Map();
      for (const replica of replicas.filter(({ up }) => up)) {
        for (let worker = 0; worker < workers; worker++)
          left.set(`${replica.name}/${worker}`, { replica, life: replica.life });
      }
      open = { at, what, revision: null, left, last: at };
    },
    accepted({ revision, sentAt }) {
      if (open !== null && open.revision === null && sentAt >= open.at) open.revision = revision;
    },
    see({ replica, worker, revision, time }) {
      if (open === null || open.revision === null || revision < open.revision) return;
      if (!open.left.delete(`${replica}/${worker}`)) return;
      open.last = Math.max(open.last, time);
      for (const [key, one] of open.left) if (one.replica.life !== one.life) open.left.delete(key);
      if (open.left.size > 0) return;
      times.push({ what: open.what, milliseconds: open.last - open.at });
      open = null;
    },
    close(at, limit) {
      if (open === null) return;
      const missing = [...open.left].filter(([, { replica, life }]) => replica.life === life);
      if (missing.length > 0 && at - open.at > limit)
        overdue.push(
          `${open.what} at ${new Date(open.at).toISOString()}: ${open.revision === null ? 'no write was accepted' : missing.map(([key]) => key).join(', ')}`,
        );
      else voided += 1;
      open = null;
    },
  };
}
