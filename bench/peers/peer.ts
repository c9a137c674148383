/** A proxy under measurement, and what it is started with. */
import type { Origins } from '../load/origin.ts';

export type PeerName =
  | 'serin'
  | 'haproxy'
  | 'haproxy-tcp'
  | 'nginx'
  | 'caddy'
  | 'traefik'
  | 'envoy'
  | 'http-proxy-3'
  | 'fastify-http-proxy';

export interface Peer {
  readonly name: PeerName;
  /** What it is, with its version, for the table. */
  readonly title: string;
  readonly port: number;
  /** Whether it decides by the policy; the TCP mode does not. */
  readonly decides: boolean;
  /** The processes whose CPU time and memory count. */
  pids(): number[];
  stop(): Promise<void>;
}

/** What a scenario needs of a peer beyond its usual configuration. */
export interface PeerSettings {
  /** Heads of 32 KiB and 100 fields are taken. */
  readonly largeHeads?: boolean;
  /** Serin only: worker threads, one core each; one if unsaid. */
  readonly workers?: number;
  /** Serin only: 100,000 networks, 1,000 rules and 100 services in place of one of each. */
  readonly largePolicy?: boolean;
  /** Serin only: arguments of node itself, to profile it. */
  readonly nodeArguments?: readonly string[];
}

export interface PeerKit {
  /** A directory of its own that exists already. */
  readonly directory: string;
  readonly port: number;
  readonly origins: Origins;
  readonly settings: PeerSettings;
}

/** How to have one kind of peer. */
export interface PeerKind {
  /** Why it cannot be measured here; null when it can. */
  unavailable(): string | null;
  /** Starts it on the proxy's core and waits until it listens. */
  start(kit: PeerKit): Promise<Peer>;
  /** Where its policy is not the others' to the letter: what stands in for it. */
  readonly standIn?: string;
}

/** So many client connections are let in by every peer. */
export const CONNECTIONS = 10_500;
