/**
 * What the API needs of the control plane. Routes know this interface and nothing behind it.
 *
 * Reads are synchronous pictures of the moment. Writes resolve when they are in the store (a rollback: at the latest
 * after a moment), and reject with RefusedError or DocumentError, having changed nothing.
 */
import type { ComparisonView } from '../comparison/comparison.ts';
import type { DescribedRequest } from '../policy/described.ts';
import type { Explanation } from '../policy/explain.ts';
import type { Variant } from '../policy/rollout.ts';
import type { Change } from '../rollout/change.ts';
import type { Difference } from '../rollout/diff.ts';
import type { Decrease } from '../rollout/exposure.ts';
import type { Refusal } from '../rollout/refusal.ts';
import type { CommitKind } from '../store/store.ts';
import type { Standing } from '../upstream/standing.ts';
import type { FleetView } from '../replication/fleet-view.ts';
import type { DocumentBody, RolloutWrite, WriteRequest } from '../rollout/write-request.ts';
import type { ServiceView } from '../state/service-view.ts';
import type { BodyKind } from '../helper/read-body.ts';

/** What a write would do. */
export interface DryRun {
  /** From the present document to the one that would be. */
  readonly diff: readonly Difference[];
  readonly decreases: readonly Decrease[];
  readonly warnings: readonly string[];
  /** Why it would be refused, or null. */
  readonly refusal: Refusal | null;
}

export interface HistoryEntry {
  readonly revision: number;
  readonly kind: CommitKind;
  /** RFC 3339. */
  readonly at: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly requestId: string | null;
  readonly changeId: string;
  /** From what to what; null where the commit before is not kept any more. */
  readonly diff: readonly Difference[] | null;
}

export interface HistoryPage {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[];
  /** The revision below which the next page begins; null where there is none. */
  readonly next: number | null;
}

/** What the workers know of an endpoint, a quarter of a second old at most. */
export interface EndpointLoad {
  /** Requests under way and open connections, of all workers. */
  readonly inFlight: number;
  readonly connections: number;
  /** Mean of the workers' estimates, which follow peaks, in ms; null while there is none. */
  readonly latencyMs: number | null;
  /** How many workers leave it out because it did not accept a connection in the last second. */
  readonly downOnWorkers: number;
  /** How many leave it out because it kept failing, and for how long at most, in ms. */
  readonly ejectedOnWorkers: number;
  readonly ejectedForMs: number;
}

/** What health checks say of an endpoint. */
export interface EndpointHealth {
  readonly state: 'unknown' | 'healthy' | 'unhealthy';
  /** RFC 3339; null before the first check. */
  readonly checkedAt: string | null;
  /** What was wrong with the last check, or null. */
  readonly failure: string | null;
}

export interface EndpointView {
  readonly service: string;
  readonly variant: Variant;
  /** `host:port`. */
  readonly address: string;
  /** Where it comes from: `listed`, or the source that it was discovered from. */
  readonly source: string;
  readonly weight: number;
  readonly standing: Standing;
  readonly load: EndpointLoad;
  /** Null where it is not checked. */
  readonly health: EndpointHealth | null;
}

export type ControlEvent =
  | { readonly type: 'change'; readonly service: string; readonly change: Change }
  | { readonly type: 'rollout'; readonly service: string; readonly view: ServiceView | null }
  | { readonly type: 'configuration'; readonly service: null };

export interface NumberedEvent {
  /** Rises by one; begins anew when the process does. */
  readonly id: number;
  readonly event: ControlEvent;
}

export interface Backend {
  /** In order of their names. */
  services(): readonly ServiceView[];
  /** Throws RefusedError `service_not_found`. */
  service(name: string): ServiceView;
  /** The value of a body, checked; only what is small is read on this thread. Rejects with DocumentError, RefusedError `too_many_bodies`. */
  read(kind: BodyKind, body: DocumentBody, caller: string): Promise<unknown>;
  putService(name: string, body: DocumentBody, write: WriteRequest): Promise<Change>;
  deleteService(name: string, write: WriteRequest): Promise<Change>;
  dryRunService(name: string, body: DocumentBody, write: WriteRequest): Promise<DryRun>;
  writeRollout(service: string, command: RolloutWrite, write: WriteRequest): Promise<Change>;
  dryRunRollout(service: string, command: RolloutWrite, write: WriteRequest): Promise<DryRun>;
  /** From every replica. Rejects with RefusedError `change_not_found`. */
  change(id: string): Promise<Change>;
  cancelChange(id: string): Promise<Change>;
  /** Below revision `before`: at most `limit` entries, and fewer where there is much in them. */
  history(service: string, before: number, limit: number): Promise<HistoryPage>;
  /** By the policy of `revision`, or by the one in force. */
  explain(service: string, request: DescribedRequest, revision: number | null): Promise<Explanation>;
  fleet(): FleetView;
  endpoints(): readonly EndpointView[];
  /** Stable and canary over the last `window` ms. Throws RefusedError `service_not_found`. */
  comparison(service: string, window: number): ComparisonView;
  /** Calls `listener` with what happens from now on, after what happened after event `after` as far as it is kept. */
  subscribe(listener: (event: NumberedEvent) => void, after: number | null): () => void;
  /** Counts a request that was not let in. */
  countLoginFailure(): void;
}
