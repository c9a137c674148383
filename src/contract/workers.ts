/**
 * What the control plane needs of the data plane: a way to hand every worker a snapshot, and to hear who applied it.
 *
 * The worker pool has this shape; tests put a fake in its place. Nothing here knows threads or sockets.
 */
import type { Snapshot } from './snapshot.ts';

export interface Workers {
  /**
   * For `ms` more of real time the workers may give the canary by what they know; unless this is said again they give stable to
   * everybody then, also where this thread sleeps. Where it is never said they always may.
   */
  freshFor(ms: number): void;
  /**
   * Posts the snapshot to every worker and keeps it for workers that start later. Returns at once. The same revision
   * may come again with other contents (a reloaded configuration, a rollback that the store has not taken yet) and
   * replaces the former; an older revision never comes. Gives the snapshot's number, which rises with each call.
   */
  apply(snapshot: Snapshot): number;
  /**
   * The revision that each worker decides by, and the number of the snapshot; a worker that has not started or is being
   * replaced has -1 for both.
   */
  appliedRevision(): readonly {
    readonly index: number;
    readonly revision: number;
    readonly sequence: number;
  }[];
  /** Calls `listener` whenever a worker has applied a snapshot. */
  onApplied(listener: (index: number, revision: number) => void): void;
  /** The number of workers. */
  readonly size: number;
}
