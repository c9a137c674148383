/**
 * Where the metrics come from: the seam between telemetry and whoever holds workers, services and the control plane.
 * Everything is asked for anew at each scrape; none of it may throw or wait.
 */
import type { RolloutState, Variant } from '../policy/rollout.ts';
import type { BreakerState } from '../upstream/breaker.ts';
import type { Standing } from '../upstream/standing.ts';
import type { ControlCounters } from './control-counters.ts';
import type { ServiceCounters } from './service-counters.ts';
import type { WorkerCounters } from './worker-counters.ts';
import type { FleetCounters } from './fleet-counters.ts';
import type { StoreCondition, StoreCounters } from './store-counters.ts';

export interface WorkerSource {
  readonly index: number;
  readonly counters: WorkerCounters;
  /** The revision that the worker decides by; -1 while it starts or is being replaced. */
  readonly revision: number;
}

export interface ServiceSource {
  readonly name: string;
  /** One block of each worker. */
  readonly blocks: readonly ServiceCounters[];
  readonly rollout: RolloutState | null;
  readonly upstream: UpstreamSource;
}

/** What is known of a service's endpoints beyond what its workers count. */
export interface UpstreamSource {
  /** How each endpoint stands. */
  readonly standings: readonly { readonly variant: Variant; readonly standing: Standing }[];
  readonly breaker: BreakerState;
  /** How often the breaker has opened. */
  readonly breakerOpened: number;
  readonly checks: { readonly [variant in Variant]: { good: number; bad: number } };
}

/** A certificate that Serin shows to clients or to endpoints, or an authority's. */
export interface CertificateReading {
  /** Its file. */
  readonly file: string;
  /** When it expires, in ms since 1970. */
  readonly expires: number;
  /** What stands in its files now can't be used, and the former contents go on. */
  readonly stale: boolean;
}

/** The store that replicas share. */
export interface SharedStoreSource {
  readonly condition: StoreCondition;
  readonly counters: StoreCounters;
}

/** How this replica sees the fleet. */
export interface FleetSource {
  readonly counters: FleetCounters;
  readonly store: SharedStoreSource;
  /** Replicas, this one included. */
  readonly live: number;
  readonly unreachable: number;
  /** What live replicas do not have alike. */
  readonly disagreements: number;
  /** Whether this one leads, and the number of the leadership, which only grows. */
  readonly leader: boolean;
  readonly fence: number;
  /** Whether it gives stable to everybody because it has lost the store. */
  readonly fenced: boolean;
  /** How wrong its idea of the store's clock can be, in ms; Infinity while it has none. */
  readonly clockError: number;
}

/** The latches of this replica in figures; all but the first three only rise. */
export interface LatchFigures {
  readonly held: number;
  readonly limit: number;
  /** Of the table, all of it. */
  readonly bytes: number;
  /** From other replicas, or from the store. */
  readonly takenOver: number;
  /** Not genuine, or not of a rollout under way. */
  readonly refused: number;
  /** Gone for others, because the table was full. */
  readonly evicted: number;
  /** Not kept or not passed on, because too much went on at once. */
  readonly lost: number;
}

export interface LatchReading extends LatchFigures {
  /** Decided here and not stored yet. */
  readonly waiting: number;
}

/** A source that endpoints are discovered from. */
export interface DiscoveryReading {
  readonly name: string;
  /** What is known of it is how it is, as far as anybody can tell. */
  readonly synced: boolean;
  /** Seconds since it last was; 0 while it is. */
  readonly staleSeconds: number;
  readonly endpoints: number;
  /** It names no endpoints any more, and the last known ones are used for a while. */
  readonly holding: boolean;
  readonly events: number;
  readonly reads: number;
  /** Different addresses that were left out because requests are never sent there. */
  readonly refused: number;
  /** How often it could not be asked or followed, by reason. */
  readonly troubles: ReadonlyMap<string, number>;
}

export interface MetricsSource {
  /** Serin's own version. */
  readonly version: string;
  /** The codes of refusals, by the index that workers count them under. */
  readonly refusals: readonly string[];
  /** Why TLS handshakes with clients fail, by index. */
  readonly handshakeFailures: readonly string[];
  /** Why PROXY headers are refused, by index. */
  readonly proxyHeaderFaults: readonly string[];
  /** Why sources of endpoints can't be asked or followed. */
  readonly discoveryTroubles: readonly string[];
  /** The sources that are followed now. */
  discovery(): readonly DiscoveryReading[];
  readonly control: ControlCounters;
  /** The clock that heartbeats are written by, in ms. */
  wallNow(): number;
  workers(): readonly WorkerSource[];
  /** The services that exist now; the series of one that is gone vanish. */
  services(): readonly ServiceSource[];
  /** The certificates in use. */
  certificates(): readonly CertificateReading[];
  /** Workers replaced since the start because they died or hung. */
  restarts(): number;
  /** The newest revision, which workers are to decide by. */
  revision(): number;
  ready(): boolean;
  /** Whether the store takes writes, as far as is known. */
  storeAvailable(): boolean;
  /** Null where the replica is alone. */
  fleet(): FleetSource | null;
  /** Whether memory is short, how often it was, and from how many bytes on it is (Infinity: never). */
  memory(): { readonly short: boolean; readonly shortages: number; readonly highWater: number };
  /** The latches of header identities; those that are held, and counts since the start. */
  latches(): LatchReading;
  /** Faults that the main thread survived, by task. */
  faults(): ReadonlyMap<string, number>;
  /** For how long the main thread was stopped or held up since the start, in ms. */
  slept(): number;
  /** The limits that hold: those of the configuration, or less. */
  limits(): { readonly maxConnections: number; readonly maxRequests: number };
  /** `net.ipv4.tcp_migrate_req` of this network namespace; null where the system does not tell. */
  tcpMigrateReq(): boolean | null;
}
