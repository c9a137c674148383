/**
 * What a replica tells the others about itself, through the store and directly. Plain data.
 *
 * Within one boot of a replica a record with a higher sequence replaces those before it; nothing else orders records.
 */

/** What all replicas must have alike, each as a short digest of its contents. */
export interface Digests {
  /** The keys of the ring, by id. */
  readonly keys: { readonly [id: string]: string };
  /** The segments, by name. */
  readonly segments: { readonly [name: string]: string };
  /** The region database; `''`: none. */
  readonly region: string;
  /** The services that the configuration file defines, by name, as far as they decide who gets what. */
  readonly services: { readonly [name: string]: string };
  /** The bucket algorithms that it knows. */
  readonly bucketAlgorithms: readonly string[];
}

export interface ReplicaRecord {
  /** Unique among the replicas; it outlives a restart. */
  readonly name: string;
  /** Random, new with each start of the process. */
  readonly boot: string;
  readonly sequence: number;
  /** Serin's own version. */
  readonly version: string;
  /** `host:port` where the other replicas reach it. */
  readonly address: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** The last revision that it knows, and the change that made it. */
  readonly revision: number;
  readonly changeId: string;
  /** The revision that each worker decides by; -1: none. */
  readonly workers: readonly { readonly index: number; readonly revision: number }[];
  /** Ids of the rollouts that all its workers treat as rolled back although the store does not know it yet. */
  readonly rolledBack: readonly string[];
  /** Services whose newest document it cannot read; it serves them by the former one. */
  readonly faults: readonly {
    readonly service: string;
    readonly revision: number;
    readonly detail: string;
  }[];
  /** It has lost the store for so long that it gives stable to everybody. */
  readonly fenced: boolean;
  readonly digests: Digests;
}
