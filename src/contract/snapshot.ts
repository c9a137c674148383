/**
 * The snapshot: everything a worker needs to serve requests, as immutable plain data.
 *
 * The control plane builds one per revision and posts it to every worker; a worker compiles it and swaps it whole
 * between two requests, so one request sees one revision from beginning to end. Everything here is
 * structured-cloneable; large parts (networks, the region database) travel as SharedArrayBuffers.
 */
import type { EndpointAddress } from './endpoint-address.ts';
import type { NetworkSetData } from '../ip/network.ts';
import type { IdentityTier } from '../policy/identity/identity-tier.ts';
import type { RolloutState } from '../policy/rollout.ts';
import type {
  BreakerSettings,
  CircuitSettings,
  HealthCheckSettings,
  UpstreamSettings,
} from './upstream-settings.ts';

export interface EndpointSnapshot extends EndpointAddress {
  /** Its share of the requests, relative to its siblings'. */
  readonly weight: number;
}

/** What a variant's endpoints speak: HTTP/1.1, or HTTP/2 without TLS. */
export type EndpointProtocol = 'http1' | 'h2c';
/** Certificates and keys as PEM text, `''` where there is none. They have been read and checked by the control plane. */
export interface Credential {
  /** Differs whenever the contents do. */
  readonly id: string;
  /** The names in the certificate, in lower case. */
  readonly names: readonly string[];
  /** The certificate first, then those that lead to its authority. */
  readonly certificate: string;
  readonly key: string;
  /** Authorities that are believed. */
  readonly ca: string;
}

/** TLS to a variant's endpoints. */
export interface EndpointTls {
  /** Asked for, and looked for in the endpoint's certificate; `''`: the endpoint's own host. */
  readonly serverName: string;
  /** False only where the operator took the risk: anybody on the way can then pose as the endpoint. */
  readonly verify: boolean;
  readonly credential: Credential;
}

export interface VariantSnapshot {
  readonly protocol: EndpointProtocol;
  readonly endpoints: readonly EndpointSnapshot[];
  /** Where these come from, by name; workers do not look at it. */
  readonly source: string;
  readonly circuit: CircuitSettings;
  /** Null where endpoints are judged by the requests of users alone. */
  readonly healthCheck: HealthCheckSettings | null;
  /** Null: unencrypted. */
  readonly tls: EndpointTls | null;
}

/** Times in milliseconds, sizes in bytes. All settable per service; the defaults are in `config/service.ts`. */
export interface ServiceSettings extends UpstreamSettings {
  readonly connectTimeout: number;
  readonly responseHeadTimeout: number;
  readonly requestBodyIdleTimeout: number;
  readonly responseIdleTimeout: number;
  /** Bytes a second, on average, that a client must send of a body and read of an answer; 0: as slowly as it likes. */
  readonly clientRate: number;
  readonly upstreamKeepAlive: number;
  readonly tunnelIdleTimeout: number;
  /** How long tunnels and streams go on after a rollback (canary) or a finish (old stable). */
  readonly streamGrace: number;
  /** In flight, in the whole process, tunnels included. */
  readonly maxRequests: number;
  readonly maxTunnels: number;
  /** Attempts after the first, for requests that are safe to send again. */
  readonly maxRetries: number;
  /** stable → canary fallback is only taken where the operator allows it; canary → stable unless forbidden. */
  readonly fallbackToStable: boolean;
  readonly fallbackToCanary: boolean;
  readonly breaker: BreakerSettings;
  /** Null: nothing is mirrored. */
  readonly mirror: MirrorSettings | null;
}

/** What of stable's requests is also sent to the canary, for its answers to be measured. */
export interface MirrorSettings {
  /** Above 0, at most 100. */
  readonly percentage: number;
  readonly methods: readonly string[];
  readonly timeout: number;
  /** Mirrored requests at a time, in the whole process. */
  readonly maxConcurrent: number;
}

export interface CookieSettings {
  readonly sameSite: 'Lax' | 'Strict' | 'None';
  /** auto: `Secure` where the client came over TLS (as the trusted proxy tells it). */
  readonly secure: 'auto' | 'always';
  readonly partitioned: boolean;
  /** Lifetime of the identity cookie in seconds. */
  readonly maxAge: number;
}

export interface ServiceSnapshot {
  readonly name: string;
  /** Lower-case exact names, `*.` wildcards, or `*`. */
  readonly hosts: readonly string[];
  /** Starts with `/`; no trailing slash unless it is `/`. */
  readonly pathPrefix: string;
  readonly identity: readonly IdentityTier[];
  readonly cookies: CookieSettings;
  readonly cache: 'preserve' | 'private' | 'vary';
  /** Answers ask for client hints. */
  readonly clientHints: boolean;
  /** Services whose variant (`x-canary` from a follow peer) this one follows. */
  readonly follow: readonly string[];
  readonly settings: ServiceSettings;
  readonly stable: VariantSnapshot;
  readonly canary: VariantSnapshot;
  readonly rollout: RolloutState | null;
  /** The revision of the last write that touched this service. */
  readonly revision: number;
  /** Networks of `cidr` conditions compiled ahead, by canonical key (see `policy/compile.ts`); absent ones are compiled on the spot. */
  readonly networks: { readonly [key: string]: NetworkSetData };
}

/** Limits and timeouts of the listener. Times in milliseconds, sizes in bytes. */
export interface ProxySettings {
  readonly requestLineLimit: number;
  readonly headLimit: number;
  readonly fieldLimit: number;
  readonly requestHeadTimeout: number;
  readonly keepAliveTimeout: number;
  /** Of the whole process. */
  readonly maxConnections: number;
  readonly maxRequests: number;
  readonly http2: Http2Settings;
  /** From the connection to the end of its TLS handshake. */
  readonly handshakeTimeout: number;
  /** From the connection to the end of its PROXY header. */
  readonly proxyHeaderTimeout: number;
  /** Connections of one worker that may be busy with either at once. */
  readonly maxHandshakes: number;
}

/** HTTP/2 of clients. */
export interface Http2Settings {
  readonly enabled: boolean;
  /** Streams that one session may have at a time. */
  readonly maxConcurrentStreams: number;
}

/** The TLS listener. */
export interface ListenerTls {
  /** In order of preference; the first one is for clients that ask for no name or an unknown one. */
  readonly certificates: readonly Credential[];
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Refuse clients that ask for no name or an unknown one. */
  readonly strictServerNames: boolean;
  /** Authorities of clients' certificates as PEM text; `''`: none are asked for. */
  readonly clientCa: string;
}

export interface KeyData {
  readonly id: string;
  /** 32 bytes or more. */
  readonly secret: Uint8Array;
}

export interface Snapshot {
  readonly revision: number;
  readonly proxy: ProxySettings;
  readonly services: readonly ServiceSnapshot[];
  readonly trustedProxies: NetworkSetData;
  readonly followPeers: NetworkSetData;
  /** Peers that begin each connection with a PROXY header. */
  readonly proxyProtocol: NetworkSetData;
  /** Null: there is no TLS listener. */
  readonly tls: ListenerTls | null;
  readonly segments: { readonly [name: string]: NetworkSetData };
  /** The bytes of a MaxMind-format database, or null where none is configured. */
  readonly regionDatabase: SharedArrayBuffer | null;
  /** The first key signs, all verify. */
  readonly keys: readonly KeyData[];
}
