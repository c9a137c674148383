/** What a scenario is: who is measured, under which traffic, and what is looked at. */
import type { Entry } from './load/script.ts';
import type { PeerName, PeerSettings } from './peers/peer.ts';

export interface Traffic {
  /** What is sent in turn. `cookies[n]` is what the n-th user of the proxy brings: empty, or `; name=value` and so on. */
  entries(cookies: readonly string[]): Entry[];
  readonly connections: number;
  /** Requests of a connection until it is closed; unsaid: as many as come. */
  readonly perConnection?: number;
  /** The first entry upgrades each connection. */
  readonly upgrade?: boolean;
}

/** One row of a scenario's table. */
export interface Contender {
  /** Unique in its scenario. */
  readonly name: string;
  readonly peer: PeerName;
  /** Added to the peer's title. */
  readonly note?: string;
  readonly settings?: PeerSettings;
  /** Where it is not the scenario's. */
  readonly traffic?: Traffic;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What is done, in one sentence. */
  readonly about: string;
  readonly traffic: Traffic;
  readonly contenders: readonly Contender[];
  /** The contender that ratios are to. */
  readonly reference: string;
  /** So many connections are opened and left idle but for a few; unsaid: the connections of the traffic are all busy. */
  readonly idle?: number;
  /** Whether latency is measured as well, at half of what the slowest of Serin, HAProxy and nginx carries. */
  readonly latency?: boolean;
}

/** Contenders that are peers as they are, all under the same settings. */
export function peers(names: readonly PeerName[], settings: PeerSettings = {}): Contender[] {
  return names.map((name) => ({ name, peer: name, settings }));
}

/** The proxies that Serin means to be as fast as. */
export const LEADERS: readonly PeerName[] = ['serin', 'haproxy', 'nginx'];

/** The proxies that teams would take otherwise; several times slower, so that a few rounds tell enough. */
export const OTHERS: readonly PeerName[] = [
  'caddy',
  'traefik',
  'envoy',
  'http-proxy-3',
  'fastify-http-proxy',
];
