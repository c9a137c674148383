/**
 * The control plane: configuration and store documents in, one snapshot for all workers out.
 *
 * Writes are taken one after another; each is in the store before it is answered and before any worker sees it. A
 * rollback alone never waits: not for the queue, not for the store. A refused write leaves everything as it was.
 */
import type { Configuration } from '../config/schema.ts';
import type { KeyData } from '../data-plane/snapshot.ts';
import type { Store } from '../store/store.ts';
import type { Log } from './log.ts';
import type { WorkerFleet } from './worker-fleet.ts';

export interface ControlPlaneOptions {
  readonly configuration: Configuration;
  /** The key ring: the first key signs, all verify. */
  readonly keys: readonly KeyData[];
  readonly store: Store;
  readonly fleet: WorkerFleet;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** That many random bytes. */
  readonly random: (size: number) => Uint8Array;
  readonly log: Log;
}

export interface ControlPlane {
  /** Takes a configuration that was read anew. Rejects with a DocumentError, changing nothing, when it cannot be served. */
  reload(configuration: Configuration): Promise<void>;
  /** Whether every worker decides by a policy; why not, in sentences. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Finishes the write under way; the store and the fleet are closed by whoever made them. */
  close(): Promise<void>;
}

export declare function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane>;
